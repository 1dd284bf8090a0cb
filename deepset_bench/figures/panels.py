"""What a figure shows, said once and drawn twice: for paper and for a browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

Array = NDArray[Any]
NAME = 36
"""Characters of a line of a name beside an axis; longer ones have several."""


@dataclass(frozen=True)
class Series:
    """One set of numbers.

    Attributes:
        name: for the legend; series of one name share an entry and a colour.
        x: (n,).
        y: (n,).
        kind: `line`; `points`; `dots`, points that may be thousands; `area` down to zero.
        ends: lower and upper, each (n,), of a band or of error bars.
        across: whether the ends are those of x.
        dashed: of a line.
        hollow: of points.
        quiet: left out of the legend.
        named: of one point; the name stands beside it, and not in the legend.
    """

    name: str
    x: Array
    y: Array
    colour: str
    kind: Literal["line", "points", "dots", "area"] = "line"
    ends: tuple[Array, Array] | None = None
    across: bool = False
    dashed: bool = False
    hollow: bool = False
    quiet: bool = False
    named: bool = False


@dataclass(frozen=True)
class Cut:
    """A point beyond an end of the x axis: an arrow there, and the number that it stands for."""

    y: float
    value: float
    colour: str

    @property
    def text(self) -> str:
        """The number, with its sign."""
        return f"{self.value:+,.0f}".replace("-", "−")


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        x: label with unit.
        y: label with unit.
        series: drawn in this order.
        title: above it.
        scales: of x and y, `linear` or `log`.
        limits: of x and y, None for what the data need.
        names: of the integers on the y axis, for categories.
        tail: x from which an inset shows the series again, on paper alone: a browser zooms.
        zero: a line at x = 0.
        ticks: of x; empty for what suits.
        cut: points beyond the limits of x.
    """

    x: str
    y: str
    series: Sequence[Series]
    title: str = ""
    scales: tuple[str, str] = ("linear", "linear")
    limits: tuple[tuple[float, float] | None, tuple[float, float] | None] = (None, None)
    names: Sequence[str] = ()
    tail: float | None = None
    zero: bool = False
    ticks: Sequence[float] = ()
    cut: Sequence[Cut] = ()


@dataclass(frozen=True)
class Sheet:
    """Rows of panels, each with its share of the height.

    Attributes:
        width: in inches.
        height: in inches.
        shares: of the rows; empty for equal ones.
        joined: whether the panels of a row share their y axis.
    """

    rows: Sequence[Sequence[Panel]]
    width: float
    height: float
    shares: Sequence[float] = ()
    joined: bool = False


def extremes(values: Array) -> tuple[Array, Array] | None:
    """Smallest and largest over the first axis, (seeds, n) -> two of (n,); None for one seed."""
    return (values.min(axis=0), values.max(axis=0)) if len(values) > 1 else None
