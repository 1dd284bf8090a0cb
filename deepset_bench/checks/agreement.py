"""Whether energies and forces are those of one smooth surface, as a whole and frame by frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from ase.units import kB
from scipy.spatial import cKDTree

from deepset_bench.checks.finding import VERDICTS, Finding, energy_text, force_text
from deepset_bench.checks.subject import Subject
from deepset_bench.checks.surface import (
    LARGEST,
    LEAST,
    LeftOut,
    Prior,
    Surface,
    energies_given_forces,
)
from deepset_bench.checks.terms import Term, explaining_term
from deepset_bench.checks.work import MOST, descriptors, single_failures
from deepset_bench.molecules.frames import FloatArray
from deepset_bench.molecules.one_molecule import Group

_SURFACES, _SAME = 4, 1e-6  # laid at most; angstrom
_HARMLESS = 0.05  # of the spread of the energies or the root mean square force
_SCATTER, _SOME, _MUCH = 15.0, 0.04, 0.25  # squared errors a frame; of the energies' spread
_ROUGH, _ROUGHER = 0.02, 0.09  # noise over the root mean square force
_PAIR, _KIND, _ENERGY, _CHI = 10.0, 6.0, 8.0, 25.0  # standard errors; squared for the last
_ODD, _ODDER, _ALONE, _ODDEST, _SEVERAL = 2.0, 2.5, 4.0, 10.0, 3  # times these; frames
_ROUNDS, _MOST_OUT = 3, 0.45


@dataclass(frozen=True)
class Odd:
    """A frame whose labels the other frames contradict.

    Attributes:
        row: within the group.
        what: `energy` or `forces`.
        times: the misfit over what sound labels may have.
        size: of the misfit over the spread of the energies or the root mean square force.
        atoms: between which the forces are off most.
    """

    row: int
    what: str
    times: float
    size: float
    atoms: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Agreement:
    """What one surface says of the labels of some frames.

    Attributes:
        group: the frames.
        usual: those that the next four are of: all, or all but a few odd ones.
        noise: of the forces about any smooth surface, eV/angstrom.
        term: what explains most of the energies' misfit.
        scatter: squared misfit of the energies in units of the surface's error, a frame.
        misfit: standard deviation of the energies about the surface of the forces, eV.
        odd: frames that do not fit after it was taken out, the first the worst.
    """

    group: Group
    usual: Group
    noise: float
    term: Term
    scatter: float
    misfit: float
    odd: tuple[Odd, ...]


def smooth(subject: Subject) -> list[Finding]:
    """Energies and forces as a whole, and single frames, against one smooth surface."""
    checks = "smooth surface", "frames off the surface"
    chosen = list(islice(_chosen(subject), _SURFACES))
    if not chosen:
        why = f"no molecule of 2 to {LARGEST // (3 * LEAST)} atoms has {LEAST} frames with forces"
        return [Finding(check, "not run", why) for check in checks]
    found = [agreement(group) for group in chosen]
    whole = max(map(_whole, found), key=lambda finding: VERDICTS.index(finding.verdict))
    return [whole, _single(found)]


def _chosen(subject: Subject) -> Iterator[Group]:
    """Frames for one surface after another: first of each molecule all along its series."""
    enough = (g for g in subject.groups if len(g) >= LEAST and len(g.numbers) > 1)
    usable = [group for group in enough if group.forces.any()]
    parts = [patches(group) for group in usable[:_SURFACES]]
    for k in range(3):
        yield from (part[k] for part in parts if len(part) > k)


def patches(group: Group) -> list[Group]:
    """Whole frames for one surface each: evenly spaced, and two neighbourhoods where there are
    more frames than one takes; none where it takes too few."""
    group = group.whole.thinned(MOST)
    size = LARGEST // (3 * len(group.numbers))
    if min(size, len(group)) < LEAST:
        return []
    points = descriptors(group.positions)
    twice = {later for _, later in cKDTree(points).query_pairs(_SAME)}
    first = np.array([row not in twice for row in range(len(group))])
    group, points = group.select(first), points[first]
    if len(group) < LEAST:
        return []
    if len(group) <= size:
        return [group]
    centres = points[[len(points) // 4, 3 * len(points) // 4]]
    near = cKDTree(points).query(centres, k=size)[1].astype(np.int64)
    return [group.thinned(size), *(group.select(np.sort(rows)) for rows in near)]


def agreement(group: Group) -> Agreement:
    """Lay the surface, find what explains the energies' misfit, and look for odd frames.

    A few odd frames may pass for a term or a scatter that all have: it has to be there without
    them.
    """
    surface, energy = Surface(group), group.energy - np.median(group.energy)
    prior = surface.prior(energy, np.arange(surface.m))
    factor = surface.factor(prior)
    term, scatter, misfit = _misfit(surface, factor, energy)
    noise, odd = _noise_and_odd(surface, prior, factor, energy)
    few = sorted(frame.row for frame in odd)
    if single_failures(few, group) and (term.harmful(energy) or _graded(odd) != "ok"):
        rest = np.setdiff1d(np.arange(len(group)), few)
        part = Surface(group.select(rest))
        factor = part.factor(part.prior(energy[rest], np.arange(part.m)))
        without = _misfit(part, factor, energy[rest])
        if not without[0].harmful(energy[rest]):
            return Agreement(group, part.group, noise, *without, odd)
    if term.harmful(energy) and term.energy is not None:
        energy = energy - term.energy
        prior = surface.prior(energy, np.arange(surface.m))
        noise, odd = _noise_and_odd(surface, prior, surface.factor(prior), energy)
    return Agreement(group, group, noise, term, scatter, misfit, odd)


def _misfit(surface: Surface, factor: FloatArray, energy: FloatArray) -> tuple[Term, float, float]:
    """What explains the energies' misfit; its square in squared errors a frame; its size in eV."""
    found = energies_given_forces(surface, factor, energy)
    term = explaining_term(surface.group, found.whiten, found.rest, found.work)
    scatter = float((found.rest**2).sum()) / (surface.m - 1)
    return term, scatter, float((energy - found.surface).std())


def _noise_and_odd(
    surface: Surface, prior: Prior, factor: FloatArray, energy: FloatArray
) -> tuple[float, tuple[Odd, ...]]:
    """The noise of the forces, eV/angstrom, and the odd frames.

    They spoil the constants of the surface, so these are chosen anew without them, and all frames
    are looked at again.
    """
    rows = np.arange(surface.m)
    odd: tuple[Odd, ...] = ()
    for _ in range(_ROUNDS):
        before, odd = odd, _odd(LeftOut(surface, factor, energy))
        rest = np.setdiff1d(rows, [frame.row for frame in odd])
        if {frame.row for frame in odd} == {frame.row for frame in before} or len(rest) < LEAST / 2:
            break
        prior = surface.prior(energy, rest)
        factor = surface.factor(prior)
    return prior.noise, odd


def _odd(labels: LeftOut) -> tuple[Odd, ...]:
    """The worst frame, the worst after it was taken out, and so on.

    In units of what sound labels may be off by; by more where those that are left show that the
    surface is less sure than it says.
    """
    surface, found, usual = labels.surface, list[Odd](), 1.0
    pairs = len(surface.i)
    spread = float(surface.group.energy.std())
    while len(found) < _MOST_OUT * surface.m:
        residues = labels.residues()
        apart = np.abs(residues.stretch)
        usual = max(1.0, float(np.sqrt(np.median(residues.chi[labels.left]))))
        times = np.stack(
            [
                np.abs(residues.energy) / _ENERGY,
                apart[:, :pairs].max(axis=1) / _PAIR,
                apart[:, pairs:].max(axis=1, initial=0.0) / _KIND,
                np.sqrt(residues.chi / _CHI),
            ]
        )
        row = int(times.max(axis=0).argmax())
        what = int(times[:, row].argmax())
        if times[what, row] < 1:
            break
        label = labels.wrong(row)
        size = residues.force[row] / surface.scale
        if label == "energy":
            size = abs(residues.energy_ev[row]) / spread
        pair = int(apart[row, :pairs].argmax())
        atoms = int(surface.i[pair]), int(surface.j[pair])
        found.append(Odd(row, label, float(times[what, row]), float(size), atoms))
        labels.take_out(row)
    found = [replace(frame, times=frame.times / usual) for frame in found]
    return tuple(frame for frame in found if frame.times > 1)


def _graded(odd: Iterable[Odd]) -> str:
    """The verdict on odd frames."""
    times = sorted((frame.times for frame in odd if frame.size > _HARMLESS), reverse=True)
    worst = times[0] if times else 0.0
    several = times[_SEVERAL - 1] if len(times) >= _SEVERAL else 0.0
    if several > _ODDER or worst > _ODDEST:
        return "defect"
    return "suspect" if several > _ODD or worst > _ALONE else "ok"


def _whole(found: Agreement) -> Finding:
    """Verdict on the energies of all frames of one surface."""
    check = "smooth surface"
    group, term = found.usual, found.term
    spread = float(group.energy.std())
    scale = float(np.sqrt((group.forces**2).mean()))
    share = found.misfit / max(spread, 1e-12)
    text = (
        f"{group.molecule}: the energies of {len(group)} frames are {energy_text(found.misfit)} "
        f"({share:.1%} of their spread) from a smooth surface through the forces"
    )
    if term.harmful(group.energy):
        what, advice, atoms = term.meaning()
        return Finding(check, "defect", f"{text}: {what}", found.misfit, "eV", (), atoms, advice)
    if found.noise > _ROUGH * scale:
        text = (
            f"{group.molecule}: the forces scatter by {force_text(found.noise)} a component, "
            f"{found.noise / scale:.0%} of their root mean square, about any smooth surface"
        )
        verdict = "defect" if found.noise > _ROUGHER * scale else "suspect"
        advice = "noise, rounded or displaced positions, or a bias in the forces?"
        return Finding(check, verdict, text, found.noise, "eV/angstrom", (), (), advice)
    if found.scatter > _SCATTER and share > _SOME:
        kinetic = float(kB * 300 * np.sqrt(1.5 * len(group.numbers)))
        text += (
            f", {np.sqrt(found.scatter):.1f} times the surface's own error, along no one distance "
            f"and not with time; kinetic energy at 300 K scatters by {energy_text(kinetic)}"
        )
        verdict = "defect" if share > _MUCH else "suspect"
        advice = "total instead of potential energies, energies of another method, or a bias?"
        return Finding(check, verdict, text, found.misfit, "eV", (), (), advice)
    return Finding(check, "ok", text, found.misfit, "eV")


def _single(found: list[Agreement]) -> Finding:
    """Verdict on single frames, over all surfaces."""
    check = "frames off the surface"
    found = [one for one in found if one.term.energy is not None or not one.term.certain]
    if not found:
        return Finding(check, "not run", "energies and forces are not of one surface as a whole")
    looked: dict[tuple[str, int], list[Odd]] = {}
    for one in found:
        for row, index in enumerate(one.group.index.tolist()):
            odd = [frame for frame in one.odd if frame.row == row and frame.size > _HARMLESS]
            looked.setdefault((one.group.molecule, index), []).extend(odd)
    bad = {where: max(odd, key=lambda o: o.times) for where, odd in looked.items() if odd}
    most = max((odd.times for odd in bad.values()), default=0.0)
    verdict = _graded(bad.values())
    if verdict == "ok":
        text = f"the other frames contradict the labels of none of {len(looked):,} frames"
        return Finding(check, verdict, text, most)
    where, gravest = max(bad.items(), key=lambda item: item[1].size)
    whose = {odd.what for odd in bad.values()}
    text = (
        f"{' or '.join(sorted(whose))} of {len(bad):,} of {len(looked):,} frames "
        f"({len(bad) / len(looked):.0%}) do not fit those of the others; the largest misfit is "
        f"{gravest.size:.0%} of the {'energies' if gravest.what == 'energy' else 'forces'}' spread"
        f", frame {where[1]}"
    )
    atoms: tuple[int, ...] = ()
    pairs = [odd.atoms for odd in bad.values() if odd.what == "forces"]
    common = max(set(pairs), key=pairs.count) if pairs else ()
    if common and pairs.count(common) > max(2, len(bad) / 2):
        atoms = common
        text += f"; most of them between atoms {common[0]} and {common[1]}"
    advice = "labels of two methods, a bias in some frames, or positions that moved? relabel them"
    frames = tuple(sorted({index for _, index in bad}))
    return Finding(check, verdict, text, len(bad) / len(looked), "", frames, atoms, advice)
