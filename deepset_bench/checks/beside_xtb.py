"""Labels against GFN-xTB on a sample of frames: level of theory, units, and what a bias acts on."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.stats import spearmanr

from deepset_bench.checks.coordinates import explaining_coordinate
from deepset_bench.checks.finding import Finding, energy_text, force_text, graded, listed
from deepset_bench.checks.mistakes import Mistake, energy_mistake, force_mistake, mending
from deepset_bench.checks.sample import Level, Sample, computed, odd
from deepset_bench.checks.subject import Subject
from deepset_bench.checks.terms import explaining_term
from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import FloatArray
from deepset_bench.molecules.geometry import whole
from deepset_bench.molecules.one_molecule import Group
from deepset_bench.molecules.xtb import METHODS
from deepset_bench.units import HARTREE

GRADIENT = "gradient (GFN-xTB)"
"""The check of the forces against those of the method."""
_NOISE = 0.05  # of the mean absolute force, on all atoms
_GROWS = 0.3  # rank correlation with time
_MUCH = 0.2  # of the gradient: more than another electronic temperature makes
_SCALED = 0.02  # a slope this far from 1 is one, where it leaves nothing
_METHODS_DIFFER = 3.0  # slopes within this factor of 1 are those of another method
_SEVERAL, _MANY = 3, 0.02  # frames; of them
_ALIKE, _BETTER, _CLOSE = 0.04, 0.5, 0.25  # forces off, of their size; of those as stated
_TRIED, _ATOMS = 5, 100  # frames for other charges; atoms


def findings(subject: Subject, found: Sample) -> list[Finding]:
    """Everything that a sample tells, worst frames and other charges included."""
    return [
        bias(subject, found),
        level_of_theory(subject, found),
        *units_against_method(subject, found),
        single_frames(found),
        charge_and_spin(found),
    ]


def level_of_theory(subject: Subject, found: Sample) -> Finding:
    """Which method the labels are of, and whether the datasheet says so.

    Energies that scatter about those of a method whose forces the labels have are no energies of
    these forces; a constant between them is harmless.
    """
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
    name, advice = METHODS[best.method], ""
    if best.energies_match:
        text, verdict = f"{name} energies: {others} ({frames})", "ok"
    elif best.forces_match:
        text = f"{name} forces with other energies: {others} ({frames})"
        verdict, what, advice = _energies(found)
        text += what
    else:
        text = f"neither GFN1-xTB nor GFN2-xTB: {others} ({frames})"
        verdict, name = "ok", ""
    if claimed in METHODS.values() and claimed != name:
        verdict, text = "defect", f"{text}, but the datasheet says {claimed}"
        advice = "compute the labels again, or correct the datasheet"
    return Finding(check, verdict, text, best.spread, "eV", (), (), advice)


def _energies(found: Sample) -> tuple[str, str, str]:
    """Verdict on energies beside forces that are a method's, what they hold, and what to do."""
    best, group = found.best, found.group
    width = max(float(np.std(best.energy)), 1e-12)
    if best.spread < _NOISE * width or len(group) < _TRIED:
        return "suspect", "", "a constant, or energies of another method? compute the labels again"
    unit = max(best.spread, 1e-4)
    off = best.off - best.off.mean()

    def whiten(columns: FloatArray) -> FloatArray:
        centred: FloatArray = (columns - columns.mean(axis=0)) / unit
        return centred

    work = whiten(best.energy[:, None])[:, 0]
    term = explaining_term(group, whiten, off / unit, work)
    if term.certain:
        what, advice, _ = term.meaning()
        return "defect", f"; {what}", advice
    what = f"; they scatter by {energy_text(best.spread)} about those of these forces"
    return "defect", what, "total instead of potential energies, or energies of other frames?"


def _millihartree(ev: float) -> str:
    return f"{1000 * ev / HARTREE:.3g}"


def units_against_method(subject: Subject, found: Sample) -> list[Finding]:
    """Slopes of labels on the method's energies and forces: 1, or a unit's factor.

    A slope that no unit explains is a factor where the labels are the method's but for it, and the
    difference of two methods where it is small.
    """
    best, both = found.best, []
    for check, slope, mistake, identified in (
        (
            "energy unit (GFN-xTB)",
            best.energy_slope,
            energy_mistake(best.energy_slope),
            best.energies_match,
        ),
        (
            "force unit (GFN-xTB)",
            best.force_slope,
            force_mistake(best.force_slope),
            best.forces_match,
        ),
    ):
        if math.isnan(slope):
            text = "too few energies, or too much alike, to tell a slope"
            both.append(Finding(check, "not run", text))
            continue
        text = f"labels are {slope:.4g} times {METHODS[best.method]}'s"
        verdict = _unit_verdict(slope, mistake, identified, best)
        if verdict == "ok":
            both.append(Finding(check, "ok", text, slope))
            continue
        if mistake is None:
            text, advice = f"{text}: no unit, but a factor", "compute the labels again"
        else:
            both_known = math.isfinite(best.energy_slope) and abs(best.force_slope) > 0
            ratio = best.energy_slope / best.force_slope if both_known else None
            text, advice = f"{text}: {mistake}", mending(subject.read, ratio, best.force_slope)
        both.append(Finding(check, verdict, text, slope, "", (), (), advice))
    return both


def _unit_verdict(slope: float, mistake: Mistake | None, identified: bool, best: Level) -> str:
    if identified:
        return "defect" if abs(slope - 1) > _SCALED else "ok"
    if mistake is None:
        return "ok"
    if best.identified:  # by the other label
        return "defect" if math.isfinite(mistake.factor) else "suspect"
    far = not 1 / _METHODS_DIFFER < slope < _METHODS_DIFFER
    if math.isfinite(mistake.factor):
        return "defect" if far else "ok"
    return "suspect" if far else "ok"


def bias(subject: Subject, found: Sample) -> Finding:
    """What the forces hold beside the gradient of the energy: where, how much, along what."""
    check = GRADIENT
    best, atoms, name = found.best, found.biased_atoms, METHODS[found.best.method]
    usual = ~odd(best, found.group)
    error = float(np.abs(best.added[usual]).mean())
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
    nature, explained = _nature(found.group, best.added, atoms)
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


def _nature(group: Group, added: FloatArray, atoms: list[int]) -> tuple[str, bool]:
    """What kind of force was added: internal, along what, growing; and whether that is known."""
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


def single_frames(found: Sample) -> Finding:
    """Frames whose labels are not the method's, where those of the others are."""
    check = "single frames (GFN-xTB)"
    best, group = found.best, found.group
    if not best.identified or len(group) < _TRIED:
        return Finding(check, "not run", "the labels are not GFN-xTB's, or too few to compare")
    if found.biased_atoms:
        return Finding(check, "not run", "the forces of all frames hold something")
    bad = odd(best, group)
    share = float(bad.mean())
    if not bad.any():
        text = f"no frame of {len(group)} is off further than {best.share.max():.1%} of its forces"
        return Finding(check, "ok", text, share)
    text = (
        f"{bad.sum()} of {len(bad)} frames ({share:.0%}) of {group.molecule} are not "
        f"{METHODS[best.method]}'s, as the others are; the furthest is off by "
        f"{best.share[bad].max():.0%} of its forces and {energy_text(np.abs(best.off[bad]).max())}"
    )
    for level in found.levels:
        alike = bad & (level.share < _ALIKE)
        if level is not best and 2 * alike.sum() > bad.sum():
            text += f"; the forces of {alike.sum()} are {METHODS[level.method]}'s"
    added = best.added[bad]
    per_atom = np.abs(added).mean(axis=(0, 2))
    atoms = np.flatnonzero(per_atom > max(0.05 * per_atom.max(), 1e-3)).tolist()
    coordinate, along = explaining_coordinate(group.select(bad), added, atoms)
    if coordinate:
        text += f"; {along:.0%} of what was added is along {coordinate}"
    grave = bad.sum() >= _SEVERAL and share > _MANY
    advice = "label all frames with one method; without a restraint or a bias"
    frames = tuple(sorted(group.index[bad].tolist()))
    where = tuple(atoms) if coordinate else ()
    return Finding(check, "defect" if grave else "suspect", text, share, "", frames, where, advice)


def charge_and_spin(found: Sample) -> Finding:
    """Whether another charge or multiplicity explains labels that the stated ones do not."""
    check = "charge and spin (GFN-xTB)"
    best, group = found.best, found.group
    stated = _words(group.charge, group.spin)
    if best.identified:
        return Finding(check, "ok", f"the labels are those of {stated}")
    if len(group.numbers) > _ATOMS:
        return Finding(check, "not run", f"over {_ATOMS} atoms")
    here = min(float(np.median(level.share)) for level in found.levels)
    some, others = group.thinned(_TRIED), []
    for charge, spin in _alternatives(group):
        try:
            again = computed(replace(some, charge=charge, spin=spin), found.electronic_temperature)
        except UserError:  # does not converge so
            continue
        for level in again.levels:
            others.append((float(np.median(level.share)), level.method, charge, spin))
    if not others:
        return Finding(check, "not run", "no other charge or multiplicity converges")
    off, method, charge, spin = min(others)
    text = f"forces are {here:.0%} from GFN-xTB's for {stated}, {off:.0%} from {METHODS[method]}'s "
    text += f"for {_words(charge, spin)}"
    advice = f"import with --charge {charge} --spin {spin}, if that is the molecule"
    if off < _ALIKE:
        text = f"the labels look like those of {_words(charge, spin)}: {text}"
        return Finding(check, "defect", text, off, "", (), (), advice)
    if off < _CLOSE and off < _BETTER * here:
        return Finding(check, "suspect", f"{text}: nearer by far", off, "", (), (), advice)
    return Finding(check, "ok", text, off)


def _alternatives(group: Group) -> list[tuple[int, int]]:
    """Charges and multiplicities near those of a group, but for its own."""
    found = []
    for charge in (group.charge, group.charge + 1, group.charge - 1):
        electrons = int(group.numbers.sum()) - charge
        lowest = electrons % 2 + 1
        own = (group.charge, group.spin or lowest)
        for spin in (lowest, lowest + 2):
            if electrons >= spin - 1 and electrons > 0 and (charge, spin) != own:
                found.append((charge, spin))
    return found


def _words(charge: int, spin: int) -> str:
    """`charge +1, multiplicity 1`."""
    return f"charge {charge:+d}" + (f", multiplicity {spin}" if spin else "")
