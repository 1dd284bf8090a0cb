"""Whether the forces do the work that the energies say: no reference method needed.

Between two geometries r_1, r_2 that are close, E_2 - E_1 = -(F_1 + F_2)/2 . (r_2 - r_1) up to the
third order of the step (exactly, in a harmonic potential). Close pairs are there in any dense set:
each frame's nearest neighbours, whenever they were recorded. Forces that hold a bias, are in
another unit, of another sign or of other frames fail; and since the work is a sum over atoms, the
regression of the energy differences on the works of single atoms names the atoms at fault.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from deepset_bench.checks.bond_sizes import units_advice
from deepset_bench.checks.finding import VERDICTS, Finding, graded, listed
from deepset_bench.checks.mistakes import energy_mistake
from deepset_bench.checks.subject import FEW, Subject
from deepset_bench.checks.terms import Term, explaining_term
from deepset_bench.molecules.frames import FloatArray, IntArray
from deepset_bench.molecules.geometry import distances, pairs
from deepset_bench.molecules.one_molecule import Group

CLOSE = (0.005, 0.12)
"""Root mean square displacements in angstrom between which a pair of frames is of use."""
MOST = 6000
"""Frames of a group that are compared with each other, evenly spaced."""
_SUSPECT, _DEFECT = 0.3, 0.5  # median |error| over median |energy difference|
_CURVED, _BEYOND = 0.02, 1.5  # of |(F_2 - F_1) . (r_2 - r_1)|; times that
_JUMP, _MOST_MISFITS = 15.0, 200  # times the usual error; frames taken out one by one
_MISSED = 0.3  # of the energy differences of a frame from its neighbours
_FEW_ODD = 0.1  # of the frames: so many may be single failures
_LEAST = 1e-6  # eV
_NEIGHBOURS, _COMPONENTS, _DISTANCES = 2, 10, 500
_IDLE = 0.3  # an atom's share of its work found in the energy, below which its force is wrong


@dataclass(frozen=True, eq=False)
class Works:
    """P pairs of close frames of one group.

    Attributes:
        group: the frames.
        pairs: (P, 2) frames, counted within the group.
        displacement: (P,) root mean square over the coordinates, in angstrom, after superposition.
        energy: (P,) E_2 - E_1 in eV.
        atoms: (P, n) work of the forces on each atom in eV.
        own: (P,) what the rule itself may be off by, in eV.
        slope: robust slope of `energy` on the whole work, of the closer half of the pairs.
    """

    group: Group
    pairs: IntArray
    displacement: FloatArray
    energy: FloatArray
    atoms: FloatArray
    own: FloatArray
    slope: float

    @property
    def work(self) -> FloatArray:
        """(P,) work of all forces in eV."""
        total: FloatArray = self.atoms.sum(axis=1)
        return total

    @property
    def error(self) -> float:
        """Median |E_2 - E_1 - slope work| over median |E_2 - E_1|, of the closer half."""
        near = _closer_half(self.displacement)
        rest = np.abs(self.energy[near] - self.slope * self.work[near])
        return float(np.median(rest) / np.median(np.abs(self.energy[near])))

    @property
    def beyond(self) -> bool:
        """Whether the error is more than the rule's own."""
        near = _closer_half(self.displacement)
        rest = np.abs(self.energy[near] - self.slope * self.work[near])
        return bool(np.median(rest / self.own[near]) > _BEYOND * abs(self.slope))

    def without(self, frames: list[int]) -> Works:
        """The pairs that touch none of some frames, counted within the group."""
        kept = ~np.isin(self.pairs, frames).any(axis=1)
        return replace(
            self,
            pairs=self.pairs[kept],
            displacement=self.displacement[kept],
            energy=self.energy[kept],
            atoms=self.atoms[kept],
            own=self.own[kept],
        )

    def term(self) -> Term:
        """What explains most of the error."""
        first, second = self.pairs.T
        rest = (self.energy - self.work) / self.own

        def whiten(columns: FloatArray) -> FloatArray:
            difference: FloatArray = (columns[second] - columns[first]) / self.own[:, None]
            return difference

        return explaining_term(self.group, whiten, rest, self.work / self.own)


@dataclass(frozen=True)
class Misfits:
    """Frames of a group that do not fit their neighbours.

    Attributes:
        rows: which, counted within the group.
        worst: the largest misfit of all frames, in usual errors.
    """

    rows: list[int]
    worst: float


def single_failures(rows: Collection[int], group: Group) -> bool:
    """Whether odd frames are so few of a group that the others tell what all have in common."""
    return 0 < len(rows) <= max(1, _FEW_ODD * len(group))


def works(group: Group) -> Works | None:
    """Pairs of frames close enough; None for fewer than FEW."""
    group = group.whole.thinned(MOST)
    if len(group) < FEW or len(group.numbers) < 2:
        return None
    couples = _neighbours(group)
    first, second, forces = _superposed(group, couples)
    step = second - first
    displacement = np.sqrt((step**2).mean(axis=(1, 2)))
    use = (displacement > CLOSE[0]) & (displacement < CLOSE[1])
    if use.sum() < FEW:
        return None
    couples, step = couples[use], step[use]
    mean_force = (group.forces[couples[:, 0]] + forces[use]) / 2
    atoms = -(mean_force * step).sum(axis=-1)
    change = forces[use] - group.forces[couples[:, 0]]
    own = _CURVED * np.abs((change * step).sum(axis=-1)).sum(axis=1)
    energy = group.energy[couples[:, 1]] - group.energy[couples[:, 0]]
    near = _closer_half(displacement[use])
    if not np.median(np.abs(energy[near])) > 0:
        return None
    slope = robust_slope(atoms[near].sum(axis=1), energy[near])
    return Works(group, couples, displacement[use], energy, atoms, own + _LEAST, slope)


def _closer_half(displacement: FloatArray) -> IntArray:
    """The closer half of the pairs, but not fewer than FEW: there the rule is the most exact."""
    return np.argsort(displacement, kind="stable")[: max(FEW, len(displacement) // 2)]


def robust_slope(x: FloatArray, y: FloatArray) -> float:
    """Slope through the origin of y on x, by reweighting with Cauchy's weights.

    From the median of the ratios on: one force of fifty times its size outweighs all others in a
    sum of squares.
    """
    there = x != 0
    slope = float(np.median(y[there] / x[there])) if there.any() else 0.0
    for _ in range(30):
        rest = np.abs(y - slope * x)
        scale = 2.0 * 1.4826 * np.median(rest)
        if scale == 0:
            return slope
        weight = 1 / (1 + (rest / scale) ** 2)
        norm = (weight * x * x).sum()
        if norm == 0:
            return 0.0
        slope = float((weight * x * y).sum() / norm)
    return slope


def conservative(subject: Subject) -> list[Finding]:
    """Whether energy differences are the work of the forces; single frames that do not fit."""
    check, single = "work and energy", "labels of single frames"
    found = [w for w in map(works, subject.large) if w is not None]
    if not found:
        why = f"fewer than {FEW} pairs of frames within {CLOSE[1]} angstrom of each other"
        return [Finding(check, "not run", why), Finding(single, "not run", why)]
    odd = [_misfits(one) if one.error <= _SUSPECT else None for one in found]
    verdicts = [_verdict(check, subject, *each) for each in zip(found, odd, strict=True)]
    grave = max(
        verdicts, key=lambda finding: (VERDICTS.index(finding.verdict), finding.number or 0)
    )
    return [grave, _single(single, found, odd)]


def _verdict(check: str, subject: Subject, found: Works, odd: Misfits | None) -> Finding:
    name, error = found.group.molecule, found.error
    mistake = energy_mistake(found.slope)
    measured = (
        f"the work of the forces misses the energy differences of {len(found.energy):,} close "
        f"pairs of frames of {name} by {error:.0%} (median)"
    )
    if error <= _SUSPECT and mistake:
        text = f"{measured} after a factor of {found.slope:.4g}: {mistake}"
        advice = units_advice(subject, found.slope)
        return Finding(check, "defect", text, found.slope, "", (), (), advice)
    # One frame of a wrong label passes for a term that all frames have: it has to be there without.
    single = odd.rows if odd and single_failures(odd.rows, found.group) else []
    term = found.without(single).term()
    energy = np.delete(found.group.energy, single)
    if term.harmful(energy) and term.energy is not None:
        what, advice, where = term.meaning()
        return Finding(check, "defect", f"{measured}; {what}", error, "", (), where, advice)
    if error <= _SUSPECT:
        return Finding(check, "ok", measured, error)
    if not found.beyond:
        text = f"{measured}, as pairs so far apart do: nothing shows whether forces are a gradient"
        return Finding(check, "not run", text, error)
    atoms = idle_atoms(found)
    text = f"{measured}: they are not its gradient"
    if atoms:
        text += f"; the work done on atoms {listed(atoms)} is not found in the energy"
    advice = "a bias in the forces? bench data relabel computes labels that are a gradient"
    verdict = graded(error, _SUSPECT, _DEFECT)
    return Finding(check, verdict, text, error, "", (), tuple(atoms), advice)


def agree(subject: Subject) -> bool:
    """Whether energies and work agree, in size too, in some molecule of the set and in none not."""
    found = [w for w in map(works, subject.large) if w is not None]
    return bool(found) and all(w.error < _SUSPECT and not energy_mistake(w.slope) for w in found)


def slope(subject: Subject) -> float | None:
    """Of the energies on the work of the forces, in the largest molecule where they agree else."""
    found = [w for w in map(works, subject.large) if w is not None]
    return next((w.slope for w in found if w.error < _SUSPECT), None)


def follows(group: Group, rows: IntArray) -> NDArray[np.bool_]:
    """Whether the energy of some frames differs from that of the nearest other frame by the work.

    To a factor of three, as in strained frames, far from all others; what `rows` (k,) names are not
    among the others.
    """
    others = np.setdiff1d(np.arange(len(group)), rows)
    if not len(others) or not len(rows):
        return np.zeros(len(rows), dtype=bool)
    points = descriptors(group.positions)
    mates = others[cKDTree(points[others]).query(points[rows])[1]]
    first, second, forces = _superposed(group, np.stack([rows, mates], axis=1))
    work = -((group.forces[rows] + forces) / 2 * (second - first)).sum(axis=(1, 2))
    difference = group.energy[mates] - group.energy[rows]
    near: NDArray[np.bool_] = (work * difference > 0) & (
        np.abs(np.log(np.abs(work / np.where(difference == 0, 1, difference)))) < np.log(3)
    )
    return near


def idle_atoms(found: Works) -> list[int]:
    """Atoms whose work the energy does not know: coefficient of the regression below 0.3."""
    if len(found.energy) < 5 * found.atoms.shape[1]:
        return []
    share, *_ = np.linalg.lstsq(found.atoms, found.energy, rcond=None)
    idle = np.flatnonzero(share < _IDLE * max(1.0, float(np.median(share))))
    # Where nearly all atoms are idle nothing is told apart: forces of other frames, say.
    return idle.tolist() if len(idle) <= 2 * len(share) // 3 else []


def _single(check: str, found: list[Works], odd: list[Misfits | None]) -> Finding:
    """Frames that do not fit their neighbours, in sets that fit as a whole."""
    sound = [(w.group, misfits) for w, misfits in zip(found, odd, strict=True) if misfits]
    if not sound:
        return Finding(check, "not run", "work and energy do not agree as a whole")
    number = max(misfits.worst for _, misfits in sound)
    frames = [index for group, misfits in sound for index in group.index[misfits.rows].tolist()]
    if not frames:
        text = f"at most {number:.1f} times the usual error between a frame and its neighbours"
        return Finding(check, "ok", text, number)
    text = f"energy or forces of {len(frames):,} frames do not fit those of their neighbours, by up"
    text += f" to {number:.0f} times the usual error"
    advice = "leave these frames out, or compute their labels again"
    return Finding(check, "defect", text, number, "", tuple(sorted(frames)), (), advice)


def _misfits(found: Works) -> Misfits:
    """Frames whose labels do not fit those of their neighbours.

    The energy by which a frame is off is the mean error of its pairs, weighted by the inverse
    square of what such a pair is usually off by (a constant times displacement^2). The most
    strained frame of a sound set is off by more than is usual, too, but by a small part of what it
    differs from its neighbours: only the larger part counts. The worst frame is taken out with its
    pairs, and so on: its neighbours are not to blame.
    """
    size = (np.abs(found.energy) + np.abs(found.slope * found.work)) / 2
    rest = (found.energy - found.slope * found.work)[:, None] * [-1.0, 1.0]
    usual = found.displacement**2
    usual = usual * 1.4826 * float(np.median(np.abs(rest[:, 0]) / usual))
    if not usual.max() > 0:
        return Misfits([], 0.0)
    weight, m = 1 / usual**2, len(found.group)
    bad: list[int] = []
    most = 0.0
    while len(bad) < _MOST_MISFITS:
        total = np.bincount(found.pairs.ravel(), np.repeat(weight, 2), minlength=m)
        shift = np.bincount(found.pairs.ravel(), (rest * weight[:, None]).ravel(), minlength=m)
        differs = np.bincount(found.pairs.ravel(), np.repeat(weight * size, 2), minlength=m)
        score = np.divide(np.abs(shift), np.sqrt(total), out=np.zeros(m), where=total > 0)
        score[np.abs(shift) < _MISSED * differs] = 0.0
        worst = int(score.argmax())
        most = max(most, float(score[worst]))
        if score[worst] <= _JUMP:
            break
        bad.append(worst)
        weight = np.where((found.pairs == worst).any(axis=1), 0.0, weight)
    return Misfits(bad, most)


def descriptors(positions: FloatArray) -> FloatArray:
    """(m, n, 3) -> (m, c): principal components of the interatomic distances, in angstrom."""
    i, j = pairs(positions.shape[1])
    if len(i) > _DISTANCES:
        chosen = np.linspace(0, len(i) - 1, _DISTANCES).astype(int)
        i, j = i[chosen], j[chosen]
    return principal(distances(positions, i, j))


def principal(values: FloatArray) -> FloatArray:
    """(m, p) -> (m, c): the components of the largest variance, distances between rows kept."""
    centred = values - values.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    return centred @ axes[:, -_COMPONENTS:]


def _neighbours(group: Group) -> IntArray:
    """(P, 2) pairs of each frame and its nearest others, each pair once."""
    points = descriptors(group.positions)
    _, near = cKDTree(points).query(points, k=_NEIGHBOURS + 1)
    near = near.astype(np.int64)
    own = np.arange(len(points))[:, None]
    couples = np.stack(np.broadcast_arrays(own, near), axis=-1).reshape(-1, 2)
    couples = np.sort(couples[couples[:, 0] != couples[:, 1]], axis=1)
    return np.unique(couples, axis=0)


def _superposed(group: Group, couples: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Positions of the first frames, and positions and forces of the second turned onto them.

    Reflections are allowed: energies do not see them. Kabsch, Acta Cryst. A 1976, 32, 922.
    """
    first, second = group.positions[couples[:, 0]], group.positions[couples[:, 1]]
    first = first - first.mean(axis=1, keepdims=True)
    second = second - second.mean(axis=1, keepdims=True)
    left, _, right = np.linalg.svd(np.einsum("pai,paj->pij", second, first))
    turn = left @ right
    return first, second @ turn, group.forces[couples[:, 1]] @ turn
