"""Frames of a set computed anew with GFN-xTB, beside their labels."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from deepset_bench.checks.mistakes import Mistake, energy_mistake, force_mistake
from deepset_bench.checks.subject import Subject
from deepset_bench.checks.work import robust_slope
from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import FloatArray
from deepset_bench.molecules.one_molecule import Group
from deepset_bench.molecules.xtb import METHODS, XTB

SAMPLE = 200
"""Frames computed anew unless asked otherwise, or unless they take too long."""
_SECONDS, _LARGEST = 60.0, 200  # in all; atoms: a frame of more takes half a minute
_FEWEST, _MOLECULES = 5, 20
_KELVINS, _PROBE = (300.0, 1000.0, 2000.0, 5000.0), 10  # tried on so many frames
_CLEARLY = 0.7  # of the floor at 300 K: another electronic temperature suits better
_PRECISE = 0.1  # of a unit's factor
_EXACT = 0.03  # what labels that are a multiple of the method's leave
_ENERGY_SPREAD, _OFFSET = 0.05, 0.02  # of the energies' own spread; eV an atom
_SAME_ENERGY = 1e-3  # eV
_FORCE_FLOOR = 0.04  # of the mean absolute force, on atoms that nothing else acts on
_ODD, _TAIL = 0.02, 8.0  # of a frame's forces or the energies' spread; times the usual
_STANDS_OUT, _LEAST = 5.0, 1e-3  # times the floor; eV/angstrom


@dataclass(frozen=True, eq=False)
class Level:
    """Labels of a sample beside one method's.

    Medians over frames, so that a minority of other labels does not hide whose the rest are.

    Attributes:
        method: `gfn1` or `gfn2`.
        energy: (m,) the method's, in eV.
        forces: (m, n, 3) the method's, in eV/angstrom.
        energy_slope, force_slope: label over method, from deviations and from components; robust;
            NaN where too few energies, or too much alike, tell none.
        offset: eV, median of label minus method, the label's unit corrected.
        off: (m,) what is left of that in each frame, eV.
        relative: robust standard deviation of `off` over that of the label.
        added: (m, n, 3) label minus method in eV/angstrom, the label's unit corrected.
    """

    method: str
    energy: FloatArray
    forces: FloatArray
    energy_slope: float
    force_slope: float
    offset: float
    off: FloatArray
    relative: float
    added: FloatArray

    @property
    def spread(self) -> float:
        """Robust standard deviation of `off`, eV."""
        return float(1.4826 * np.median(np.abs(self.off)))

    @property
    def per_atom(self) -> FloatArray:
        """(n,) absolute component of `added` on each atom in the middle frame, eV/angstrom."""
        middle: FloatArray = np.median(np.abs(self.added).mean(axis=2), axis=0)
        return middle

    @property
    def floor(self) -> float:
        """The residual on the quietest quarter of the atoms: the difference between programs."""
        return float(np.quantile(self.per_atom, 0.25, method="lower"))

    @property
    def share(self) -> FloatArray:
        """(m,) root mean square of what was added to each frame over that of its forces."""
        size = np.sqrt((self.forces**2).mean(axis=(1, 2)))
        usual = np.maximum(size, np.median(size) / 10)  # a relaxed frame has none
        found: FloatArray = np.sqrt((self.added**2).mean(axis=(1, 2))) / np.maximum(usual, 1e-12)
        return found

    @property
    def energies_match(self) -> bool:
        """Energies follow the method's to within 5 % of their spread, with hardly an offset."""
        near = abs(self.offset) / self.forces.shape[1] < _OFFSET
        return near and (self.relative < _ENERGY_SPREAD or self.spread < _SAME_ENERGY)

    @property
    def forces_match(self) -> bool:
        """Forces follow the method's to within 4 %, on the atoms that nothing else acts on."""
        quiet = self.per_atom <= self.floor
        return bool(self.floor < _FORCE_FLOOR * np.abs(self.forces[:, quiet]).mean())

    @property
    def identified(self) -> bool:
        """Whether the labels are of this method, in whatever unit, whatever was added."""
        return self.energies_match or self.forces_match


@dataclass(frozen=True, eq=False)
class Sample:
    """Frames of one molecule computed anew.

    Attributes:
        group: m whole frames, evenly spaced.
        levels: one for each method.
        electronic_temperature: of the methods, kelvin.
        failed: frames that did not converge and were left out.
    """

    group: Group
    levels: tuple[Level, ...]
    electronic_temperature: float
    failed: int

    @property
    def best(self) -> Level:
        """The method whose energies the labels follow, else the one with the nearer forces."""
        return min(self.levels, key=lambda level: (not level.energies_match, level.floor))

    @property
    def biased_atoms(self) -> list[int]:
        """Atoms whose residual stands out from the floor."""
        least = max(_STANDS_OUT * self.best.floor, _LEAST)
        return np.flatnonzero(self.best.per_atom > least).tolist()


def samples(
    subject: Subject,
    size: int = SAMPLE,
    electronic_temperature: float | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> list[Sample]:
    """Compute whole frames of up to twenty molecules anew with both methods.

    Fewer than asked for where they would take longer than a minute.

    Args:
        subject: the set.
        size: frames in all, but not fewer than five of a molecule.
        electronic_temperature: kelvin; by default the datasheet's. Without either, the one of
            several that suits the labels best.
        progress: called after each frame with the number done and their total.

    Raises:
        UserError: tblite is missing, knows an element not, the molecules are too large, or most
            frames do not converge.
    """
    given = electronic_temperature
    if given is None:
        given = subject.sheet.get("electronic_temperature_kelvin")
    usable = [group for group in subject.groups if len(group.numbers) <= _LARGEST]
    if not usable:
        raise UserError(f"GFN-xTB takes minutes for a frame of over {_LARGEST} atoms")
    chosen = [group.whole if len(group.whole) else group for group in usable[:_MOLECULES]]
    each, seconds = max(_FEWEST, size // len(chosen)), _SECONDS / len(chosen)
    groups = [_affordable(group.thinned(each), seconds) for group in chosen]
    kelvin = _electronic_temperature(groups[0]) if given is None else float(given)
    total, done, found = sum(map(len, groups)), 0, []
    for group in groups:
        found.append(computed(group, kelvin, partial(_shifted, progress, done, total)))
        done += len(group)
    return found


def _affordable(group: Group, seconds: float) -> Group:
    """As many frames, evenly spaced, as both methods compute in so many seconds; one at least."""
    potentials = [XTB(group.numbers, method, 300.0, group.charge, group.spin) for method in METHODS]
    start = time.monotonic()
    for potential in potentials:
        try:
            potential(group.positions[0])
        except UserError:
            continue
    took = time.monotonic() - start
    return group.thinned(max(1, int(seconds / max(took, 1e-6))))


def _shifted(
    progress: Callable[[int, int], None], start: int, total: int, done: int, _: int
) -> None:
    progress(start + done, total)


def _electronic_temperature(group: Group) -> float:
    """Kelvin: 300, or the one of several that suits the labels clearly better."""
    if len(group) < _FEWEST:
        return _KELVINS[0]
    probes = [computed(group.thinned(_PROBE), kelvin) for kelvin in _KELVINS]
    floors = [probe.best.floor for probe in probes]
    better = min(floors) < _CLEARLY * floors[0]
    return _KELVINS[floors.index(min(floors)) if better else 0]


def computed(
    group: Group, kelvin: float, progress: Callable[[int, int], None] = lambda *_: None
) -> Sample:
    """The labels of both methods for all frames of a group that converge.

    Raises:
        UserError: most do not.
    """
    potentials = [
        XTB(group.numbers, method, kelvin, group.charge, group.spin) for method in METHODS
    ]
    labels: list[list[tuple[float, FloatArray]]] = []
    kept = []
    reason = ""
    for m, positions in enumerate(group.positions):
        try:
            labels.append([potential(positions) for potential in potentials])
            kept.append(m)
        except UserError as error:
            reason = str(error)
        progress(m + 1, len(group))
    if len(kept) < min(_FEWEST, len(group)) or 2 * len(kept) < len(group):
        raise UserError(f"{len(group) - len(kept)} of {len(group)} frames: {reason}")
    converged = group.select(np.array(kept))
    levels = [
        level(
            method,
            converged,
            np.array([row[k][0] for row in labels]),
            np.array([row[k][1] for row in labels]),
        )
        for k, method in enumerate(METHODS)
    ]
    return Sample(converged, tuple(levels), kelvin, len(group) - len(kept))


def level(method: str, group: Group, energy: FloatArray, forces: FloatArray) -> Level:
    """Labels of a group beside energies and forces of a method."""
    own, other = group.energy - np.median(group.energy), energy - np.median(energy)
    tells = len(group) >= _FEWEST and np.median(np.abs(other)) > _SAME_ENERGY
    energy_slope = robust_slope(other, own) if tells else math.nan
    scale = 1.0
    if tells:
        left = float(np.median(np.abs(own - energy_slope * other)) / np.median(np.abs(own)))
        # Methods differ by a little, units by their factor: nothing else is divided out.
        scale = _factor(energy_mistake(energy_slope), energy_slope, left, 1.0)
    force_slope = robust_slope(forces.ravel(), group.forces.ravel())
    rest = np.median(np.abs(group.forces - force_slope * forces))
    left = float(rest / max(abs(force_slope) * float(np.median(np.abs(forces))), 1e-12))
    mistake = force_mistake(force_slope)
    force_scale = _factor(mistake, force_slope, left, force_slope or 1.0)
    difference = group.energy / scale - energy
    offset = float(np.median(difference))
    off = difference - offset
    spread, width = float(1.4826 * np.median(np.abs(off))), float(group.energy.std()) / abs(scale)
    return Level(
        method,
        energy,
        forces,
        energy_slope,
        force_slope,
        offset,
        off,
        spread / width if width > 0 else math.inf,
        group.forces / force_scale - forces,
    )


def _factor(mistake: Mistake | None, slope: float, left: float, unexplained: float) -> float:
    """What labels are to be divided by: 1, a slope that leaves nothing, or a unit's factor."""
    if left < _EXACT and abs(slope - 1) > _EXACT / 2 and slope != 0:
        return slope
    if mistake is None:
        return 1.0
    near = abs(slope / mistake.factor - 1) < _PRECISE  # false for NaN
    return mistake.factor if near else unexplained


def odd(found: Level, group: Group) -> NDArray[np.bool_]:
    """(m,) frames whose labels are not the method's as those of the others are."""
    bad: NDArray[np.bool_] = np.zeros(len(group), dtype=bool)
    if found.energies_match:
        width = float(np.median(np.abs(group.energy - np.median(group.energy))))
        bad |= np.abs(found.off) > max(_SAME_ENERGY, _TAIL * found.spread, _ODD * width)
    if found.forces_match:
        bad |= found.share > max(_ODD, _TAIL * float(np.median(found.share)))
    return bad
