"""Panels -> matplotlib, for paper."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from deepset_bench.figures.panels import Panel, Series, Sheet
from deepset_bench.figures.style import INK, POINT, RC


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
                panel_on(axes, panel)
            if sheet.joined:
                for axes in axes_row[1:]:
                    axes.set_ylabel("")
        for axes_row, panels in zip(grid, sheet.rows, strict=True):
            for axes, panel in zip(axes_row, panels, strict=True):
                if panel.tail is not None:  # once limits are those of the whole row
                    _inset(axes, panel, panel.tail)
        legend(figure, list(grid.flat), sheet.width)
    return figure


def legend(figure: Figure, every: Sequence[Axes], width: float) -> None:
    """One for all axes, above them."""
    handles: dict[str, Any] = {}
    for axes in every:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        figure.legend(
            list(handles.values()), list(handles), loc="outside upper center",
            ncols=_columns(list(handles), width), handlelength=1.6, columnspacing=1.2,
            borderaxespad=0.2,
        )  # fmt: skip


def encoded(figure: Figure, ending: str) -> bytes:
    """The content of a `pdf`, `png` or `svg` file; the same bytes for the same figure."""
    stream = BytesIO()
    dates = {"pdf": "CreationDate", "png": "Software", "svg": "Date"}
    with matplotlib.rc_context(RC):
        figure.savefig(stream, format=ending, metadata={dates[ending]: None})
    return stream.getvalue()


def _columns(labels: list[str], width: float) -> int:
    """Entries of the legend that fit side by side: a character is half as wide as it is high."""
    widest = (max(map(len, labels)) * 0.52 + 4) * POINT / 72
    return max(1, min(len(labels), int(width / widest)))


def panel_on(axes: Axes, panel: Panel) -> None:
    """Draw a panel but for its inset."""
    for series in panel.series:
        _series(axes, series)
    for axis, scale in zip("xy", panel.scales, strict=True):
        if scale == "symlog":
            axes.set_xscale(scale, linthresh=10)
            axes.xaxis.set_major_formatter("{x:g}")
        elif scale == "log":
            axes.set(**{f"{axis}scale": scale})
        elif axis == "x":
            axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))  # labels side by side
    if panel.limits[0]:
        axes.set_xlim(*panel.limits[0])
    if panel.limits[1]:
        axes.set_ylim(*panel.limits[1])
    axes.set_xlabel(panel.x)
    axes.set_ylabel(panel.y)
    axes.set_title(panel.title, loc="left")
    if panel.zero:
        axes.axvline(0, color=INK, linewidth=0.6, zorder=0)
    if panel.names:
        axes.set_yticks(range(len(panel.names)), panel.names)
        axes.set_ylim(len(panel.names) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
    if panel.ticks:
        axes.xaxis.set_major_locator(FixedLocator(list(panel.ticks)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([f"{tick:g}" for tick in panel.ticks])


def _series(axes: Axes, s: Series) -> None:
    label = "_" if s.quiet else s.name
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


def _inset(axes: Axes, panel: Panel, start: float) -> None:
    """The last part of the lines again, linear, in the corner that they leave free."""
    tails = [(s, s.x >= start) for s in panel.series if s.x[-1] >= start]
    lines = [(s, tail) for s, tail in tails if not s.dashed]
    if not lines:
        return
    low, high = np.log(axes.get_ylim())
    level = [float(np.log(s.y[tail]).mean()) for s, tail in lines]
    above = np.mean(level) < (low + high) / 2
    inset = axes.inset_axes((0.46, 0.63 if above else 0.12, 0.52, 0.32))
    if above:  # clear of everything, the dashed line too
        highest = max(float(np.log(s.y[tail]).mean()) for s, tail in tails)
        axes.set_ylim(top=np.exp(max(high, low + (highest - low) / 0.52)))
    for s, tail in lines:
        inset.plot(s.x[tail], s.y[tail], color=s.colour, linewidth=0.9)
    inset.tick_params(labelsize=POINT - 2, length=2, pad=1.5)
    inset.ticklabel_format(axis="y", style="plain", useOffset=False)
    inset.margins(x=0.02)
