"""Panels -> matplotlib, for paper."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, LogFormatterSciNotation, MaxNLocator, NullLocator

from deepset_bench.figures.panels import NAME, Array, Cut, Panel, Series, Sheet
from deepset_bench.figures.style import INK, PAPER, POINT, RC

_BELOW, _ABOVE = (0.46, 0.1, 0.52, 0.32), (0.46, 0.65, 0.52, 0.32)
"""Left end, bottom, width and height of an inset, as parts of its axes."""
_LABELS = 0.09
"""Height of the labels under an inset."""
_LETTER = 0.52 * POINT / 72
"""Inches that a character is wide: half as wide as it is high."""
_AXES = 0.8
"""Part of a panel's width that its axis has."""


def draw(sheet: Sheet) -> Figure:
    """A figure with one legend above its panels."""
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(sheet.width, sheet.height), layout="constrained")
        rows, columns = len(sheet.rows), max(map(len, sheet.rows))
        grid = figure.subplots(
            rows, columns, squeeze=False, sharey="row" if sheet.joined else "none",
            height_ratios=list(sheet.shares) or None,
        )  # fmt: skip
        for axes_row, panels in zip(grid, sheet.rows, strict=True):
            for axes, panel in zip(axes_row, panels, strict=True):
                panel_on(axes, panel, _width(sheet, columns))
            if sheet.joined:
                for axes in axes_row[1:]:
                    axes.set_ylabel("")
        for axes_row, panels in zip(grid, sheet.rows, strict=True):
            both = list(zip(axes_row, panels, strict=True))
            for together in [both] if sheet.joined else [[one] for one in both]:
                _insets(together)
        legend(figure, list(grid.flat), sheet.width)
        _write_names(figure, [*zip(grid.flat, (p for row in sheet.rows for p in row), strict=True)])
    return figure


def _width(sheet: Sheet, columns: int) -> float:
    """Inches that a panel has beside names on its axis, or on the one that all of a row share."""
    longest = max((len(n) for row in sheet.rows for panel in row for n in panel.names), default=0)
    names = min(longest, NAME) * _LETTER
    return (sheet.width - names) / columns if sheet.joined else sheet.width / columns - names


def _write_names(figure: Figure, panels: Sequence[tuple[Axes, Panel]]) -> None:
    """Names beside points, once it is known where these are on paper."""
    each = [(axes, [s for s in panel.series if s.named]) for axes, panel in panels]
    if not any(named for _, named in each):
        return
    for axes, named in each:
        if named:
            axes.margins(x=0.18)  # for names at the ends
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.execute(figure)
    for axes, named in each:
        _names(named, axes)


def legend(figure: Figure, every: Sequence[Axes], width: float) -> None:
    """One for all axes, above them."""
    handles: dict[str, Any] = {}
    for axes in every:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            label = _lines(label, width - 0.6)
            handles.setdefault(label, _visible(handle))
    if handles:
        figure.legend(
            list(handles.values()), list(handles), loc="outside upper center",
            ncols=_columns(list(handles), width), handlelength=1.6, columnspacing=1.2,
            borderaxespad=0.2,
        )  # fmt: skip


def _visible(handle: Any) -> Any:
    """Of dots, which are small because they are many, a point."""
    if not isinstance(handle, PathCollection):
        return handle
    colour: Any = handle.get_edgecolor()[0]
    return Line2D([], [], color=colour, marker="o", linestyle="")


def encoded(figure: Figure, ending: str) -> bytes:
    """The content of a `pdf`, `png` or `svg` file; the same bytes for the same figure."""
    stream = BytesIO()
    dates = {"pdf": "CreationDate", "png": "Software", "svg": "Date"}
    with matplotlib.rc_context(RC):
        figure.savefig(stream, format=ending, metadata={dates[ending]: None})
    return stream.getvalue()


def _columns(labels: list[str], width: float) -> int:
    """Columns of the legend that fit side by side."""
    for n in range(len(labels), 1, -1):
        widest = [max(map(len, column)) for column in np.array_split(np.array(labels), n)]
        if sum(_LETTER * letters + 4 * POINT / 72 for letters in widest) <= width:
            return n
    return 1


def _lines(text: str, width: float) -> str:
    """Text of any origin in lines of so many inches: a dollar begins no formula."""
    return textwrap.fill(text, max(int(width / _LETTER), 8)).replace("$", r"\$")


def panel_on(axes: Axes, panel: Panel, width: float) -> None:
    """Draw a panel but for its inset; `width` in inches is what it has of the sheet."""
    for series in panel.series:
        _series(axes, series)
    for axis, scale in zip("xy", panel.scales, strict=True):
        if scale == "log":
            axes.set(**{f"{axis}scale": scale})
            of = axes.xaxis if axis == "x" else axes.yaxis
            of.set_major_formatter(_Plain())
            of.set_minor_formatter(_Plain())
        elif axis == "x":
            axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))  # labels side by side
    if panel.limits[0]:
        axes.set_xlim(*panel.limits[0])
    if panel.limits[1]:
        axes.set_ylim(*panel.limits[1])
    axes.set_xlabel(_lines(panel.x, _AXES * width))
    axes.set_ylabel(panel.y)
    axes.set_title(_lines(panel.title, _AXES * width), loc="left")
    if panel.zero:
        axes.axvline(0, color=INK, linewidth=0.6, zorder=0)
    if panel.names:
        names = [_lines(name, NAME * _LETTER) for name in panel.names]
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(panel.names) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
    if panel.ticks:
        axes.xaxis.set_major_locator(FixedLocator(list(panel.ticks)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([f"{tick:g}".replace("-", "−") for tick in panel.ticks])
    for cut in panel.cut:
        _cut(axes, cut)


def _names(named: Sequence[Series], axes: Axes) -> None:
    """Write names beside points, where they cover least of what is there."""
    if not named:
        return
    inch: float = axes.get_figure(root=True).dpi  # type: ignore[union-attr]
    high = 1.25 * (POINT - 1) / 72 * inch
    gap = 0.5 * high
    frame = tuple(axes.bbox.extents)
    points = axes.transData.transform(np.array([(s.x[0], s.y[0]) for s in named]))
    marks = [(x - gap, y - gap, x + gap, y + gap) for x, y in points]
    names: list[tuple[float, ...]] = []
    for number, (s, (x, y)) in enumerate(zip(named, points, strict=True)):
        wide = 0.42 * high * len(s.name)
        boxes = {
            (dx, dy): (
                *(x + dx * gap - wide * (1 - dx) / 2, y + dy * gap - high * (1 - dy) / 2),
                *(x + dx * gap + wide * (1 + dx) / 2, y + dy * gap + high * (1 + dy) / 2),
            )
            for dx, dy in _AROUND
        }
        covers = {
            # A point that is covered is worse than names that touch; last, what is outside.
            place: sum(_shared(box, one) for one in names)
            + 3 * sum(_shared(box, one) for n, one in enumerate(marks) if n != number)
            + 3 * (wide * high - _shared(box, frame))
            for place, box in boxes.items()
        }
        dx, dy = min(_AROUND, key=lambda place: covers[place])
        names.append(boxes[dx, dy])
        axes.annotate(
            s.name.replace("$", r"\$"), (s.x[0], s.y[0]),
            (dx * gap / inch * 72, dy * gap / inch * 72), textcoords="offset points",
            ha={1: "left", 0: "center", -1: "right"}[dx],
            va={1: "bottom", 0: "center", -1: "top"}[dy], fontsize=POINT - 1.5,
        ).set_in_layout(False)  # fmt: skip


_AROUND = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""Where a name may stand, the best place first: 1 is right of its point or above it."""


def _shared(one: Sequence[float], other: Sequence[float]) -> float:
    """Area that two boxes share."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    up = min(one[3], other[3]) - max(one[1], other[1])
    return max(across, 0.0) * max(up, 0.0)


class _Plain(LogFormatterSciNotation):
    """Numbers as people write them, 30 rather than 3 × 10¹, on an axis of few decades."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        text = str(super().__call__(x, pos))
        axis: Any = self.axis
        low, high = axis.get_view_interval()
        return f"{x:g}" if text and high < 100 * low and 1e-3 <= x < 1e5 else text


def _cut(axes: Axes, cut: Cut) -> None:
    """An arrow at the end of the axis, its number beside it."""
    more = cut.value > 0
    end = axes.get_xlim()[more]
    axes.plot(end, cut.y, ">" if more else "<", color=cut.colour, clip_on=False, zorder=5)
    axes.annotate(
        cut.text, (end, cut.y), (-4 if more else 4, 0), textcoords="offset points",
        ha="right" if more else "left", va="center", fontsize=POINT - 2, color=cut.colour,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6},
    )  # fmt: skip


def _series(axes: Axes, s: Series) -> None:
    label = "_" if s.quiet or s.named else s.name
    if s.kind == "line":
        axes.plot(s.x, s.y, color=s.colour, label=label, linestyle="--" if s.dashed else "-")
        if s.ends:
            axes.fill_between(s.x, *s.ends, color=s.colour, alpha=0.2, linewidth=0)
    elif s.kind == "area":
        axes.fill_between(s.x, 0, s.y, color=s.colour, alpha=0.35, linewidth=0, label=label)
    elif s.kind == "dots":
        _dots(axes, s, label)
    elif s.kind != "points":
        raise ValueError(f"unknown kind of series: {s.kind}")
    else:
        face = "white" if s.hollow else s.colour
        marks: dict[str, Any] = {"color": s.colour, "markerfacecolor": face, "markeredgewidth": 0.9}
        if s.ends:
            lengths = np.abs(np.stack(s.ends) - (s.x if s.across else s.y))
            bars: dict[str, Any] = {"xerr" if s.across else "yerr": lengths}
            axes.errorbar(s.x, s.y, **bars, fmt="o", elinewidth=0.9, label=label, **marks)
        else:
            axes.plot(s.x, s.y, "o", label=label, **marks)


def _dots(axes: Axes, s: Series, label: str) -> PathCollection:
    face = "none" if s.hollow else s.colour
    return axes.scatter(
        s.x, s.y, s=4 if s.hollow else 2.5, facecolors=face, edgecolors=s.colour,
        linewidths=0.5 if s.hollow else 0, alpha=0.8, label=label, rasterized=True,
    )  # fmt: skip


def _insets(together: Sequence[tuple[Axes, Panel]]) -> None:
    """The last part of the lines again, linear, below them or above, where nothing else is.

    Args:
        together: panels that share a y axis.
    """
    those = [
        (axes, panel, lines)
        for axes, panel in together
        if panel.tail is not None and (lines := _tails(panel, panel.tail))
    ]
    if not those:
        return
    below = all(_lowest(axes, panel) > _BELOW[1] + _BELOW[3] for axes, panel, _ in those)
    if not below:  # room above all of them
        low, high = np.log(those[0][0].get_ylim())
        highest = max(low + (high - low) * _highest(axes, panel) for axes, panel, _ in those)
        those[0][0].set_ylim(top=np.exp(max(high, low + (highest - low) / (_ABOVE[1] - _LABELS))))
    for axes, _, lines in those:
        inset = axes.inset_axes(_BELOW if below else _ABOVE)
        for s, x, y in lines:
            inset.plot(x, y, color=s.colour, linewidth=0.9)
        inset.tick_params(labelsize=POINT - 2, length=2, pad=1.5)
        inset.ticklabel_format(axis="y", style="plain", useOffset=False)
        inset.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        inset.margins(x=0.02)


def _tails(panel: Panel, start: float) -> list[tuple[Series, Array, Array]]:
    """What an inset shows of the lines."""
    lines = [s for s in panel.series if not s.dashed and s.x[-1] >= start]
    return [(s, s.x[s.x >= start], s.y[s.x >= start]) for s in lines]


def _lowest(axes: Axes, panel: Panel) -> float:
    """Where the lowest line is beside an inset, as a part of the axis's height."""
    return min(float(s.min()) for s in _beside(axes, panel))


def _highest(axes: Axes, panel: Panel) -> float:
    """Where the highest line is."""
    return max(float(s.max()) for s in _beside(axes, panel))


def _beside(axes: Axes, panel: Panel) -> list[Array]:
    """Heights of lines and bands, as parts of the axis's, at the right, where insets are."""
    low, high = np.log(axes.get_ylim())
    left, right = axes.get_xlim()
    start = left + (_BELOW[0] - 0.12) * (right - left)  # the inset's labels are left of it
    found = []
    for s in panel.series:
        for y in (s.y, *(s.ends or ())):
            there = s.x >= min(start, s.x[-1])
            found.append((np.log(np.maximum(y[there], np.exp(low))) - low) / (high - low))
    return found
