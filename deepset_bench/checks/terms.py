"""What energies hold beside the work of the forces, as one of a few simple terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from deepset_bench.checks.finding import energy_text
from deepset_bench.checks.mistakes import energy_mistake
from deepset_bench.molecules.frames import FloatArray
from deepset_bench.molecules.geometry import distances
from deepset_bench.molecules.one_molecule import Group

_SHARE, _CERTAIN, _BEYOND = 0.5, 50.0, 30.0  # of the misfit; F statistic; squared errors
_FOLLOWED = 0.6  # squared correlation of a distance with a drift or step: it may be its cause
_HARMLESS_SCALE, _HARMLESS, _HARMLESS_EV = 0.05, 0.003, 5e-4  # the second of the spread; eV
_FOLLOWS = 0.3  # slope below which energies do not follow the forces at all
_ROWS = 8  # of the misfit that a term has a say in
_STEPS, _ATOMS = 100, 40  # places of a step, and atoms, that are tried at most


@dataclass(frozen=True, eq=False)
class Term:
    """One term.

    Attributes:
        kind: `scale`, a multiple of the work of the forces; `drift`, along the series; `step`, in
            it; `pair`, a square of the distance of two atoms.
        share: of the misfit (squared, in units of what it may be) that the term explains.
        f: its F statistic against what it leaves.
        beyond: squared misfit that it explains, in squares of what it may be.
        values: coefficients: a ratio, eV, or eV/angstrom and eV/angstrom^2.
        where: atoms of a pair; frame of a step.
        energy: (m,) in eV, of each frame, but for a constant; None where energies do not follow
            the forces at all.
    """

    kind: str
    share: float
    f: float
    beyond: float
    values: tuple[float, ...]
    where: tuple[int, ...] = ()
    energy: FloatArray | None = None

    @property
    def certain(self) -> bool:
        """Whether it is there beyond doubt, and explains most of the misfit."""
        return self.share > _SHARE and self.f > _CERTAIN and self.beyond > _BEYOND

    def harmful(self, energy: FloatArray) -> bool:
        """Whether it is there, and matters beside the spread of the energies."""
        if self.kind == "scale" or self.energy is None:
            return self.certain and abs(self.values[0]) > _HARMLESS_SCALE
        least = max(_HARMLESS_EV, _HARMLESS * float(energy.std()))
        return self.certain and float(self.energy.std()) > least

    def meaning(self) -> tuple[str, str, tuple[int, ...]]:
        """What it is, what to do, and the atoms concerned."""
        if self.kind == "scale":
            return _scale(1 + self.values[0])
        if self.kind == "drift":
            text = f"the energies drift by {energy_text(self.values[0])} along the series"
            return text, "something besides the geometry changed: label all frames alike", ()
        if self.kind == "step":
            text = f"the energies step by {energy_text(self.values[0])} at frame {self.where[0]}"
            return text, "were settings changed there? label all frames alike", ()
        i, j = self.where  # the energies lack the potential of the force: its sign turns
        text = f"between atoms {i} and {j} acts a force that the energies do not hold, of stiffness"
        text += f" {-2 * self.values[1]:.2g} eV/angstrom^2"
        advice = "a restraint or a wall in the forces? bench data relabel takes it out"
        return text, advice, self.where


def _scale(slope: float) -> tuple[str, str, tuple[int, ...]]:
    if slope < _FOLLOWS:
        text = f"the energies follow the work of the forces with a slope of {slope:.2f}"
        return text, "a bias in the forces, or total instead of potential energies?", ()
    text = f"the forces are {1 / slope:.3g} times the gradient of the energies"
    mistake = energy_mistake(slope)
    if mistake is not None and mistake.factor > 0:
        text += f": {mistake}"
    advice = (
        "import again with the right --energy-unit and --force-unit, or compute the labels again"
    )
    return text, advice, ()


def explaining_term(
    group: Group,
    whiten: Callable[[FloatArray], FloatArray],
    rest: FloatArray,
    work: FloatArray,
) -> Term:
    """The term that explains most of a misfit between energies and forces.

    Args:
        group: m frames.
        whiten: energies of the frames, (m, c), to what they add to the misfit, (r, c), each row in
            units of what it may be.
        rest: (r,) the misfit in these units.
        work: (r,) what the forces do, in these units.
    """
    m, total = len(group), float(rest @ rest)

    def term(kind: str, basis: FloatArray, *where: int) -> Term:
        values, *_ = np.linalg.lstsq(basis, rest, rcond=1e-10)
        left = float(((rest - basis @ values) ** 2).sum())
        terms, gain = basis.shape[1], total - left
        f = gain / terms / max(left / max(len(rest) - 1 - terms, 1), 1e-300)
        return Term(kind, gain / max(total, 1e-300), f, gain, tuple(values.tolist()), where)

    scale = term("scale", work[:, None])
    slope = 1 + scale.values[0]
    if slope > _FOLLOWS:
        scale = replace(scale, energy=group.energy * scale.values[0] / slope)
    terms = [scale]
    columns: list[tuple[str, FloatArray, tuple[int, ...]]] = []
    n = len(group.numbers)
    some = np.unique(np.linspace(0, n - 1, min(n, _ATOMS)).round().astype(np.int64))
    i, j = some[np.stack(np.triu_indices(len(some), k=1))]
    d = distances(group.positions, i, j)
    d -= d.mean(axis=0)
    if (np.diff(group.index) > 0).all():
        series: list[tuple[str, FloatArray, tuple[int, ...]]] = []
        series.append(("drift", np.linspace(0, 1, m)[:, None], ()))
        rows = np.arange(m)[:, None]
        for row in np.unique(np.linspace(3, m - 3, _STEPS).round().astype(int)):
            series.append(("step", np.where(rows >= row, 1.0, 0.0), (int(group.index[row]),)))
        # Where the molecule itself changes with time, its energies may do so rightly.
        columns += [one for one in series if not _followed(one[1], d)]
    for pair, away in zip(zip(i.tolist(), j.tolist(), strict=True), d.T, strict=True):
        columns.append(("pair", np.stack([away, away**2], axis=1), pair))
    for kind, energies, where in columns:
        basis = whiten(energies)
        if np.count_nonzero(basis.any(axis=1)) < _ROWS:
            continue  # one odd pair of frames on both sides of a step is no step
        found = term(kind, basis, *where)
        terms.append(replace(found, energy=energies @ np.array(found.values)))
    return max(terms, key=lambda found: found.share)


def _followed(series: FloatArray, d: FloatArray) -> bool:
    """Whether one of the distances d, (m, p) about their means, goes with a series, (m, 1)."""
    away = series - series.mean()
    square = (d * away).sum(axis=0) ** 2
    return bool((square > _FOLLOWED * (d**2).sum(axis=0) * (away**2).sum()).any())
