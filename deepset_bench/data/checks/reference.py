"""Labels against GFN-xTB on a sample of frames: level of theory, units, and what a bias acts on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.stats import spearmanr

from deepset_bench.data.checks.coordinates import explaining_coordinate
from deepset_bench.data.checks.finding import Finding, force_text, graded, listed
from deepset_bench.data.checks.geometry import whole
from deepset_bench.data.checks.mistakes import Mistake, energy_mistake, force_mistake
from deepset_bench.data.checks.subject import Group, Subject
from deepset_bench.data.checks.work import robust_slope
from deepset_bench.data.frames import FloatArray
from deepset_bench.data.units import HARTREE
from deepset_bench.data.xtb import METHODS, XTB
from deepset_bench.errors import UserError

GRADIENT = "gradient (GFN-xTB)"
"""The check of the forces against those of the method."""
SAMPLE = 200
"""Frames computed anew unless asked otherwise."""
_FEWEST, _MOLECULES = 5, 20
_KELVINS, _PROBE = (300.0, 1000.0, 2000.0, 5000.0), 10  # tried on so many frames
_CLEARLY = 0.7  # of the floor at 300 K: another electronic temperature suits better
_PRECISE = 0.1  # of a unit's factor
_ENERGY_SPREAD, _OFFSET = 0.05, 0.02  # of the energies' own spread; eV an atom
_FORCE_FLOOR = 0.04  # of the mean absolute force, on atoms that nothing else acts on
_NOISE = 0.05  # of the same, on all atoms
_STANDS_OUT, _LEAST = 5.0, 1e-3  # times the floor; eV/angstrom
_GROWS = 0.3  # rank correlation with time
_MUCH = 0.2  # of the gradient: more than another electronic temperature makes


@dataclass(frozen=True, eq=False)
class Level:
    """Labels of a sample beside one method's.

    Attributes:
        method: `gfn1` or `gfn2`.
        forces: (m, n, 3) the method's, in eV/angstrom.
        energy_slope, force_slope: label over method, from deviations and from components; robust.
        offset: eV, median of label minus method, the label's unit corrected.
        spread: eV, robust standard deviation of the same.
        relative: `spread` over the standard deviation of the label.
        added: (m, n, 3) label minus method in eV/angstrom, the label's unit corrected.
    """

    method: str
    forces: FloatArray
    energy_slope: float
    force_slope: float
    offset: float
    spread: float
    relative: float
    added: FloatArray

    @property
    def per_atom(self) -> FloatArray:
        """(n,) mean absolute component of `added` on each atom, eV/angstrom."""
        mean: FloatArray = np.abs(self.added).mean(axis=(0, 2))
        return mean

    @property
    def floor(self) -> float:
        """The residual on the quietest quarter of the atoms: the difference between programs."""
        return float(np.quantile(self.per_atom, 0.25))

    @property
    def energies_match(self) -> bool:
        """Energies follow the method's to within 5 % of their spread, with hardly an offset."""
        per_atom = abs(self.offset) / self.forces.shape[1]
        return self.relative < _ENERGY_SPREAD and per_atom < _OFFSET

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

    Args:
        subject: the set.
        size: frames in all, but not fewer than five of a molecule.
        electronic_temperature: kelvin; by default the datasheet's. Without either, the one of
            several that suits the labels best.
        progress: called after each frame with the number done and their total.

    Raises:
        UserError: tblite is missing, knows an element not, or most frames do not converge.
    """
    given = electronic_temperature
    if given is None:
        given = subject.sheet.get("electronic_temperature_kelvin")
    chosen = subject.groups[:_MOLECULES]
    each = max(_FEWEST, size // len(chosen))
    groups = [(group.whole if len(group.whole) else group).thinned(each) for group in chosen]
    kelvin = _electronic_temperature(groups[0]) if given is None else float(given)
    total, done, found = sum(map(len, groups)), 0, []
    for group in groups:
        found.append(_computed(group, kelvin, partial(_shifted, progress, done, total)))
        done += len(group)
    return found


def _shifted(
    progress: Callable[[int, int], None], start: int, total: int, done: int, _: int
) -> None:
    progress(start + done, total)


def _electronic_temperature(group: Group) -> float:
    """Kelvin: 300, or the one of several that suits the labels clearly better."""
    probes = [_computed(group.thinned(_PROBE), kelvin) for kelvin in _KELVINS]
    floors = [probe.best.floor for probe in probes]
    better = min(floors) < _CLEARLY * floors[0]
    return _KELVINS[floors.index(min(floors)) if better else 0]


def _computed(
    group: Group, kelvin: float, progress: Callable[[int, int], None] = lambda *_: None
) -> Sample:
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
        _level(
            method,
            converged,
            np.array([row[k][0] for row in labels]),
            np.array([row[k][1] for row in labels]),
        )
        for k, method in enumerate(METHODS)
    ]
    return Sample(converged, tuple(levels), kelvin, len(group) - len(kept))


def _level(method: str, group: Group, energy: FloatArray, forces: FloatArray) -> Level:
    energy_slope = robust_slope(energy - np.median(energy), group.energy - np.median(group.energy))
    force_slope = robust_slope(forces.ravel(), group.forces.ravel())
    force_scale = _factor(force_mistake(force_slope), force_slope, force_slope or 1.0)
    # Methods differ by a little, units by their factor: nothing else is divided out of energies.
    scale = _factor(energy_mistake(energy_slope), energy_slope, 1.0)
    rest = group.energy / scale - energy
    middle = float(np.median(rest))
    spread = float(1.4826 * np.median(np.abs(rest - middle)))
    own = float(group.energy.std()) / abs(scale)
    return Level(
        method,
        forces,
        energy_slope,
        force_slope,
        middle,
        spread,
        spread / own if own > 0 else math.inf,
        group.forces / force_scale - forces,
    )


def _factor(mistake: Mistake | None, slope: float, unexplained: float) -> float:
    """The factor of a unit that a slope is near; 1 near 1."""
    if mistake is None:
        return 1.0
    near = abs(slope / mistake.factor - 1) < _PRECISE  # false for NaN
    return mistake.factor if near else unexplained


def findings(subject: Subject, found: Sample) -> list[Finding]:
    """Everything that a sample tells: gradient, level of theory, units of energy and force."""
    return [
        bias(subject, found),
        level_of_theory(subject, found),
        *units_against_method(subject, found),
    ]


def level_of_theory(subject: Subject, found: Sample) -> Finding:
    """Which method the labels are of, and whether the datasheet says so."""
    check = "level of theory"
    best = found.best
    others = ", ".join(
        f"{_millihartree(level.offset)} ± {_millihartree(level.spread)} mHa from "
        f"{METHODS[level.method]}"
        for level in sorted(found.levels, key=lambda level: level is not best)
    )
    claimed = str(subject.sheet.get("method", ""))
    frames = f"{len(found.group)} frames of {found.group.molecule}, "
    frames += f"electrons at {found.electronic_temperature:g} K"
    if best.energies_match:
        text = f"{METHODS[best.method]} energies: {others} ({frames})"
        verdict, name = "ok", METHODS[best.method]
    elif best.forces_match:
        text = f"{METHODS[best.method]} forces with other energies: {others} ({frames})"
        verdict, name = "suspect", METHODS[best.method]
    else:
        text = f"neither GFN1-xTB nor GFN2-xTB: {others} ({frames})"
        verdict, name = "ok", ""
    advice = ""
    if claimed in METHODS.values() and claimed != name:
        verdict, text = "defect", f"{text}, but the datasheet says {claimed}"
        advice = "compute the labels again, or correct the datasheet"
    elif verdict == "suspect":
        advice = "an offset, or energies of another method? compute the labels again"
    return Finding(check, verdict, text, best.spread, "eV", (), (), advice)


def _millihartree(ev: float) -> str:
    return f"{1000 * ev / HARTREE:.3g}"


def units_against_method(subject: Subject, found: Sample) -> list[Finding]:
    """Slopes of labels on the method's energies and forces: 1, or a unit's factor."""
    best, both = found.best, []
    for check, slope, mistake in (
        ("energy unit (GFN-xTB)", best.energy_slope, energy_mistake(best.energy_slope)),
        ("force unit (GFN-xTB)", best.force_slope, force_mistake(best.force_slope)),
    ):
        text = f"labels are {slope:.4g} times {METHODS[best.method]}'s"
        if mistake is None:
            both.append(Finding(check, "ok", text, slope))
            continue
        known = best.identified or math.isfinite(mistake.factor)
        advice = "import again with the right --energy-unit and --length-unit"
        verdict = "defect" if known else "suspect"
        both.append(Finding(check, verdict, f"{text}: {mistake}", slope, "", (), (), advice))
    return both


def bias(subject: Subject, found: Sample) -> Finding:
    """What the forces hold beside the gradient of the energy: where, how much, along what."""
    check = GRADIENT
    best, atoms, name = found.best, found.biased_atoms, METHODS[found.best.method]
    error = float(np.abs(best.added).mean())
    floor = force_text(best.floor)
    if not best.identified and not atoms:
        text = f"the labels are not GFN-xTB's; no atom's forces stand out ({floor} off)"
        return Finding(check, "ok", text, error, "eV/angstrom")
    true = float(np.abs(best.forces).mean())
    if not atoms:
        text = f"forces are {name}'s to {force_text(error)} a component, alike on all atoms"
        verdict = graded(error / max(true, 1e-12), _NOISE, _MUCH)
        advice = "" if verdict == "ok" else "noise, or forces of another method? relabel the set"
        return Finding(check, verdict, text, error, "eV/angstrom", (), (), advice)
    nature, explained = _nature(found, atoms)
    by_frame = np.abs(best.added).mean(axis=(1, 2))
    error_of_mean = float(by_frame.std() / np.sqrt(len(by_frame)) / by_frame.mean())
    text = (
        f"{found.group.molecule}: forces on atoms {listed(atoms)} are off by "
        f"{force_text(float(best.per_atom[atoms].mean()))} a component, on the others by {floor}. "
        f"Added to the gradient: mean absolute component {force_text(error)}, standard error "
        f"{error_of_mean:.0%}, against {force_text(true)} of the gradient itself. {nature}"
    )
    command = f"bench data relabel {subject.source}{_whole_range(subject)}"
    command += f" --as NEW --method {best.method}"
    if not best.identified:
        text = f"the labels are not GFN-xTB's, yet {text}"
        return Finding(check, "suspect", text, error, "eV/angstrom", (), tuple(atoms))
    text += f". A perfect model would score a force error of {force_text(error)} on these labels"
    verdict = "defect" if explained or error > _MUCH * true else "suspect"
    advice = f"{command} takes it out"
    return Finding(check, verdict, text, error, "eV/angstrom", (), tuple(atoms), advice)


def _whole_range(subject: Subject) -> str:
    """`--frames 1-6686` where the frames from some on are broken; empty where none is."""
    mask = whole(subject.groups[0].numbers, subject.groups[0].positions)
    first = int(np.argmin(mask))
    if mask.all() or first == 0 or len(subject.groups) > 1:
        return ""
    index = subject.groups[0].index
    return f" --frames {index[0] + 1}-{index[first - 1] + 1}"


def _nature(found: Sample, atoms: list[int]) -> tuple[str, bool]:
    """What kind of force was added: internal, along what, growing; and whether that is known."""
    group, added = found.group, found.best.added
    size = np.abs(added).sum(axis=(1, 2))
    net = np.linalg.norm(added.sum(axis=1), axis=-1).mean() / max(size.mean(), 1e-30)
    if net > 0.05:
        return "It has a net force: something outside the molecule acts", True
    coordinate, share = explaining_coordinate(group, added, atoms)
    text = "It is internal, but along no one or two distances, angles or torsions"
    if coordinate:
        text = f"{share:.1%} of it (squared) is along {coordinate}: a bias on that coordinate"
    if len(group) >= 20 and (np.diff(group.index) > 0).all():
        rho = float(spearmanr(group.index, size).statistic)
        if rho > _GROWS:
            text += f", and it grows along the trajectory (rank correlation {rho:.2f})"
    return text, bool(coordinate)
