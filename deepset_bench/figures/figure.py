"""What every figure is: something to draw in two ways, and words to go with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from deepset_bench.figures import interactive, static
from deepset_bench.figures.panels import Sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Static
    from plotly.graph_objects import Figure as Interactive

Gap = tuple[str, str]
"""What is missing, and the command that fills it; empty where none does."""


@dataclass(frozen=True)
class Figure:
    """One figure of the catalogue.

    Attributes:
        name: of the files, as in `figure_7`.
        title: one line.
        caption: what is shown, in which units, of how many seeds.
        missing: what would complete it.
        runs: the folders that it is drawn from.
        draw: for paper; None where there is nothing to draw. Raises a UserError where the data are
            not fit for it.
        interactive: for a browser; likewise.
    """

    name: str
    title: str
    caption: str
    missing: list[Gap] = field(default_factory=list)
    runs: list[Path] = field(default_factory=list)
    draw: Callable[[], Static] | None = None
    interactive: Callable[[], Interactive] | None = None


def of_sheet(
    name: str,
    title: str,
    caption: str,
    missing: Sequence[Gap],
    runs: Sequence[Path],
    sheet: Callable[[], Sheet],
) -> Figure:
    """A figure that consists of panels; without runs there is nothing to draw.

    `sheet` is called when the figure is drawn: what takes long, such as predictions, is put there.
    """
    if not runs:
        return Figure(name, title, caption, list(missing))
    return Figure(
        name, title, caption, list(missing), list(runs),
        lambda: static.draw(sheet()), lambda: interactive.draw(sheet()),
    )  # fmt: skip
