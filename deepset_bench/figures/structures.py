"""Molecules as balls and sticks, for paper and for a browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
import plotly.graph_objects as go
from ase.data import chemical_symbols, covalent_radii
from ase.data.colors import jmol_colors
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from plotly.subplots import make_subplots

from deepset_bench.figures.interactive import add, frame
from deepset_bench.figures.panels import Panel
from deepset_bench.figures.static import legend, panel_on
from deepset_bench.figures.style import INK, POINT, QUIET, RC, WIDE
from deepset_bench.figures.words import amount

if TYPE_CHECKING:
    from deepset_bench.figures.conformers import Conformer

_BALL = 0.55
"""Of a covalent radius."""
_ROOM = 0.06
"""Angstrom around the balls of a molecule."""


def draw(conformers: Sequence[Conformer], energies: Panel, unit: str) -> Figure:
    """Each molecule over its energies, and the panel that compares them at the right."""
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(WIDE, 2.3), layout="constrained")
        ratios = [1.0] * len(conformers) + [1.35]
        *left, right = figure.subplots(1, len(ratios), width_ratios=ratios)
        wide, high = np.max([np.ptp(c.positions[:, :2], axis=0) for c in conformers], axis=0) / 2
        largest = max(float(covalent_radii[c.numbers].max()) for c in conformers)
        room = _BALL * largest + _ROOM
        for axes, conformer in zip(left, conformers, strict=True):
            _molecule(axes, conformer)
            x, y = (conformer.positions.max(axis=0) + conformer.positions.min(axis=0))[:2] / 2
            axes.set(xlim=(x - wide - room, x + wide + room), aspect="equal")
            axes.set(ylim=(y - high - room, y + high + room))
            lines = [
                f"{name} {amount(e, 'energy', unit)}" for name, e in conformer.energies.items()
            ]
            axes.set_title(conformer.title, loc="center")
            axes.text(0.5, -0.04, "\n".join(lines), transform=axes.transAxes, ha="center", va="top",
                      fontsize=POINT - 1)  # fmt: skip
        panel_on(right, energies, WIDE / 2)
        right.locator_params(axis="x", nbins=3)
        legend(figure, [right], WIDE)
    return figure


def interactive(conformers: Sequence[Conformer], energies: Panel) -> go.Figure:
    """The same molecules, to be turned."""
    n = len(conformers)
    figure = make_subplots(
        1, n + 1, specs=[[{"type": "scene"}] * n + [{"type": "xy"}]],
        subplot_titles=[*(c.title for c in conformers), ""], horizontal_spacing=0.06,
    )  # fmt: skip
    hidden = {"visible": False}
    for column, conformer in enumerate(conformers, 1):
        for trace in _balls_and_sticks(conformer):
            figure.add_trace(trace, 1, column)
    figure.update_scenes(
        xaxis=hidden, yaxis=hidden, zaxis=hidden, aspectmode="data",
        camera={
            "eye": {"x": 0, "y": 0, "z": 2},
            "up": {"x": 0, "y": 1, "z": 0},
            "projection": {"type": "orthographic"},
        },
    )  # fmt: skip
    add(figure, energies, 1, n + 1, set())
    figure.update_annotations(font_size=13)
    frame(figure, 400)
    return figure


def _molecule(axes: Axes, conformer: Conformer) -> None:
    axes.set_axis_off()
    x, y, depth = conformer.positions.T
    radii = _BALL * covalent_radii[conformer.numbers]
    for a, b in conformer.bonds:
        one, other = conformer.positions[[a, b]]
        along = (other - one) / np.linalg.norm(other - one)
        ends = np.stack([one + 0.8 * radii[a] * along, other - 0.8 * radii[b] * along])
        for width, colour in ((3.4, INK), (2.4, QUIET)):
            axes.plot(ends[:, 0], ends[:, 1], color=colour, linewidth=width,
                      zorder=10 + ends[:, 2].mean(), solid_capstyle="butt")  # fmt: skip
    for atom, number in enumerate(conformer.numbers):
        ball = Circle(
            (x[atom], y[atom]), radii[atom], facecolor=jmol_colors[number],
            edgecolor=INK, linewidth=0.6, zorder=10 + depth[atom],
        )  # fmt: skip
        axes.add_patch(ball)


def _balls_and_sticks(conformer: Conformer) -> list[go.Scatter3d]:
    gap = np.full((len(conformer.bonds), 1, 3), np.nan)  # lifts the pen between two bonds
    sticks = np.concatenate([conformer.positions[conformer.bonds], gap], axis=1).reshape(-1, 3)
    numbers = conformer.numbers
    common = {"mode": "markers", "showlegend": False}
    x, y, z = conformer.positions.T
    balls = go.Scatter3d(
        x=x, y=y, z=z, **common, hoverinfo="text",
        text=[f"{chemical_symbols[n]}{atom}" for atom, n in enumerate(numbers)],
        marker={
            "size": 18 * covalent_radii[numbers],
            "color": [to_hex(colour) for colour in jmol_colors[numbers]],
            "line": {"color": INK, "width": 1},
            "opacity": 1,
        },
    )  # fmt: skip
    x, y, z = sticks.T
    line = {"color": QUIET, "width": 7}
    lines = {**common, "mode": "lines"}
    return [go.Scatter3d(x=x, y=y, z=z, **lines, line=line, hoverinfo="skip"), balls]
