"""The pictures of an examination, as SVG that follows the light or dark scheme of its page."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase.data import chemical_symbols
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from deepset_bench.checks.bond_sizes import STIFFNESS, hydrogen_bonds
from deepset_bench.checks.duplicates import own_nearest
from deepset_bench.checks.full import Report
from deepset_bench.checks.leakage import nearness
from deepset_bench.checks.series import BLOCKS, temperature_along
from deepset_bench.checks.subject import FEW
from deepset_bench.checks.work import idle_atoms, works
from deepset_bench.html import svg
from deepset_bench.molecules.bias import torsion
from deepset_bench.molecules.geometry import BROKEN, bonds, distances
from deepset_bench.molecules.one_molecule import Group
from deepset_bench.molecules.xtb import METHODS

_INK, _LINE = "#123456", "#234567"  # replaced by the page's colours
_CALM, _LOUD = "#3f7fd0", "#e0621a"
_POINTS, _TIMES, _TORSIONS = 4000, 1500, 4

Picture = tuple[str, str]
"""Caption and SVG."""


def pictures(report: Report) -> list[Picture]:
    """Every plot that the data allow."""
    group = report.subject.groups[0]
    drawn: list[tuple[str, Figure | None]] = [
        ("Force labels against the gradient of the energy", label_against_gradient(report)),
        ("Energy differences of close frames against the work of the forces", work(group)),
        ("Bond lengths along the trajectory", bond_lengths(group)),
        ("Energy, and temperature of the bonds to hydrogen", energy_and_temperature(group)),
        ("Torsions of the heavy atoms", torsions(group)),
        ("Distance to the nearest frame", nearest_frames(group)),
        ("Force on hydrogen along its bond", hydrogen_forces(group)),
    ]
    colours = {_INK: "ink", _LINE: "line"}
    return [
        (caption, svg(figure, caption, colours)) for caption, figure in drawn if figure is not None
    ]


def label_against_gradient(report: Report) -> Figure | None:
    """Components of labels and gradients, and their mean difference on each atom."""
    sample = report.sample
    if sample is None:
        return None
    best, loud = sample.best, sample.biased_atoms
    figure, (left, right) = _axes(2)
    label = best.forces + best.added
    for atoms, colour, name in (
        (np.setdiff1d(np.arange(label.shape[1]), loud), _CALM, "other atoms"),
        (np.array(loud, dtype=int), _LOUD, "atoms that stand out"),
    ):
        if len(atoms):
            x, y = best.forces[:, atoms].ravel(), label[:, atoms].ravel()
            _points(left, x, y, colour, name)
    _diagonal(left)
    left.set_xlabel(f"gradient, {METHODS[best.method]} / (eV/Å)")
    left.set_ylabel("label / (eV/Å)")
    _legend(left)
    names = _atom_names(sample.group)
    colours = [_LOUD if atom in loud else _CALM for atom in range(len(names))]
    right.bar(names, np.maximum(best.per_atom, 1e-6), color=colours)
    size = float(np.abs(best.forces).mean())
    right.axhline(size, color=_INK, linewidth=0.8, linestyle="--")
    right.text(0.99, size, "mean |gradient| ", transform=right.get_yaxis_transform(),
               ha="right", va="bottom", color=_INK, fontsize=8)  # fmt: skip
    right.set_yscale("log")
    right.set_ylabel("mean |label − gradient| / (eV/Å)")
    right.tick_params(axis="x", rotation=90, labelsize=7)
    return figure


def work(group: Group) -> Figure | None:
    """Energy differences against work, and what of the work of each atom the energy knows."""
    found = works(group)
    if found is None:
        return None
    figure, (left, right) = _axes(2)
    _points(left, found.work, found.energy, _CALM, "")
    low, high = np.quantile(found.energy, [0.002, 0.998])
    left.set_ylim(1.3 * low, 1.3 * high)
    low, high = np.quantile(found.work, [0.002, 0.998])
    left.set_xlim(1.3 * low, 1.3 * high)
    left.axline((0, 0), slope=1, color=_INK, linewidth=0.8, linestyle="--")
    left.set_xlabel("work of the forces / eV")
    left.set_ylabel("energy difference / eV")
    share, *_ = np.linalg.lstsq(found.atoms, found.energy, rcond=None)
    loud = idle_atoms(found)
    colours = [_LOUD if atom in loud else _CALM for atom in range(len(share))]
    right.bar(_atom_names(group), share, color=colours)
    right.axhline(1.0, color=_INK, linewidth=0.8, linestyle="--")
    right.set_ylabel("share of work found in ΔE")
    right.tick_params(axis="x", rotation=90, labelsize=7)
    return figure


def bond_lengths(group: Group) -> Figure | None:
    """Each bond's length along time; logarithmic where the molecule breaks."""
    some = group.thinned(_TIMES)
    bonded, reference = bonds(some.numbers, some.positions)
    if len(some) < 2 or not len(bonded):
        return None
    i, j = bonded.T
    length = distances(some.positions, i, j)
    figure, (axes,) = _axes(1)
    ratio = (length / distances(reference[None], i, j)).max(axis=0)
    for bond in np.argsort(ratio):
        loud = ratio[bond] > BROKEN
        axes.plot(some.index, length[:, bond], color=_LOUD if loud else _CALM, linewidth=0.6,
                  alpha=0.8, rasterized=True)  # fmt: skip
    broken = np.flatnonzero(~np.isin(group.rows, group.whole.rows))
    if len(broken):
        first = int(group.index[broken].min())
        axes.axvline(first, color=_INK, linewidth=0.8, linestyle="--")
        axes.text(first, 0.97, f" broken from frame {first} ", color=_INK, fontsize=9, va="top",
                  ha="right", transform=axes.get_xaxis_transform())  # fmt: skip
        axes.set_yscale("log")
    axes.set_xlabel("frame (from 0)")
    axes.set_ylabel("bond length / Å")
    return figure


def energy_and_temperature(group: Group) -> Figure | None:
    """Energy of each frame, and the temperature of parts of the trajectory."""
    some = group.thinned(_POINTS)
    if len(some) < FEW:
        return None
    figure, (left, right) = _axes(2)
    _points(left, some.index, some.energy - np.median(some.energy), _CALM, "")
    left.set_xlabel("frame (from 0)")
    left.set_ylabel("energy − median / eV")
    right.set_xlabel("frame (from 0)")
    right.set_ylabel("temperature / K")
    calm = group.whole
    if len(calm) >= FEW and hydrogen_bonds(calm):
        number = min(4 * BLOCKS, len(calm) // 5)
        middles = [part.mean() for part in np.array_split(calm.index, number)]
        right.plot(middles, temperature_along(calm, number), "o-", color=_CALM, markersize=3)
        right.set_ylim(bottom=0)
    return figure


def torsions(group: Group) -> Figure | None:
    """Histograms of the torsions about bonds between heavy atoms."""
    bonded, _ = bonds(group.numbers, group.positions)
    near: dict[int, list[int]] = {atom: [] for atom in range(len(group.numbers))}
    for i, j in bonded.tolist():
        near[i].append(j)
        near[j].append(i)
    chains = []
    for j, k in bonded.tolist():
        ends = [
            [a for a in near[x] if a != y and group.numbers[a] > 1] for x, y in ((j, k), (k, j))
        ]
        if min(group.numbers[[j, k]]) > 1 and all(ends):
            chains.append((ends[0][0], j, k, ends[1][0]))
    calm = group.whole.thinned(_TIMES)
    if not chains or not len(calm):
        return None
    figure, (axes,) = _axes(1)
    for chain in chains[:_TORSIONS]:
        angles = np.degrees([torsion(frame, chain)[0] for frame in calm.positions])
        axes.hist(angles, bins=list(range(-180, 181, 5)), histtype="step", linewidth=1.4,
                  label="-".join(map(str, chain)))  # fmt: skip
    axes.set_xlabel("torsion / degrees")
    axes.set_ylabel("frames")
    axes.set_xticks(np.arange(-180, 181, 60))
    _legend(axes)
    return figure


def nearest_frames(group: Group) -> Figure | None:
    """How near frames are to others, and held-out frames to those that training would see."""
    if len(group) < FEW:
        return None
    group = group.whole if len(group.whole) >= FEW else group
    shown = [(own_nearest(group), "any frame to its nearest", _INK)]
    found = nearness(group, len(group)) if (np.diff(group.index) > 0).all() else None
    if found is not None:
        far = f"the same to training over {found.gap} frames away in time"
        shown += [(found.random, "held out at random to training", _LOUD), (found.far, far, _CALM)]
    figure, (axes,) = _axes(1)
    bins = np.histogram_bin_edges(np.concatenate([one[0] for one in shown]), bins=80).tolist()
    for values, name, colour in shown:
        axes.hist(values, bins=bins, density=True, histtype="step", linewidth=1.4, label=name,
                  color=colour)  # fmt: skip
    axes.set_xlabel("root mean square difference of sorted distances / Å")
    axes.set_ylabel("density / (1/Å)")
    _legend(axes)
    return figure


def hydrogen_forces(group: Group) -> Figure | None:
    """Force against length of bonds X-H, with the slope that bonds to X are known to have."""
    found = hydrogen_bonds(group.whole.thinned(_POINTS)) if len(group) >= FEW else []
    if not found:
        return None
    figure, (axes,) = _axes(1)
    stretch = np.concatenate([length - length.mean() for _, length, _ in found])
    force = np.concatenate([force - force.mean() for _, _, force in found])
    chosen = np.linspace(0, len(force) - 1, min(len(force), _POINTS)).astype(int)
    _points(axes, stretch[chosen], force[chosen], _CALM, "frames")
    known = STIFFNESS.get(int(group.numbers[found[0][0]]))
    if known is not None:
        ends = np.quantile(stretch, [0.001, 0.999])
        axes.plot(ends, -known * ends, color=_INK, linestyle="--", linewidth=1,
                  label=f"{known:g} eV/Å², as known")  # fmt: skip
    axes.set_xlabel("bond length − mean / Å")
    axes.set_ylabel("force on H along the bond / (eV/Å)")
    _legend(axes)
    return figure


def _axes(columns: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(
        figsize=(4.6 * columns + (0 if columns > 1 else 2.4), 3.1),
        layout=ConstrainedLayoutEngine(wspace=0.06),
    )
    found = [figure.add_subplot(1, columns, column + 1) for column in range(columns)]
    for axes in found:
        axes.tick_params(colors=_INK, labelsize=8)
        for spine in axes.spines.values():
            spine.set_color(_LINE)
        axes.spines[["top", "right"]].set_visible(False)
        for set_colour in (axes.xaxis.label.set_color, axes.yaxis.label.set_color):
            set_colour(_INK)
    return figure, found


def _points(axes: Axes, x: np.ndarray, y: np.ndarray, colour: str, name: str) -> None:
    chosen = np.linspace(0, len(x) - 1, min(len(x), _POINTS)).astype(int)
    style: dict[str, Any] = {"color": colour, "markersize": 2.5, "alpha": 0.6, "rasterized": True}
    axes.plot(x[chosen], y[chosen], ".", label=name or None, **style)


def _diagonal(axes: Axes) -> None:
    axes.axline((0, 0), slope=1, color=_INK, linewidth=0.8, linestyle="--")


def _legend(axes: Axes) -> None:
    axes.legend(frameon=False, fontsize=8, labelcolor=_INK, markerscale=3)


def _atom_names(group: Group) -> list[str]:
    return [f"{chemical_symbols[z]}{a}" for a, z in enumerate(group.numbers.tolist())]
