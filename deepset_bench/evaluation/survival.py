"""How long a molecule stays whole in dynamics with a trained potential.

A potential with small errors on frames near those it was trained on can still tear a molecule apart
where dynamics lead elsewhere. Molecules start from frames that the run was not trained on, of other
molecules where its task has them, and all move in one batch by Langevin dynamics with the BAOAB
splitting (B. Leimkuhler and C. Matthews, J. Chem. Phys. 138, 174102 (2013)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ase import units
from ase.data import atomic_masses

from deepset_bench.data.tasks import divide
from deepset_bench.deployment.neighbourhoods import Systems
from deepset_bench.errors import UserError
from deepset_bench.evaluation.dynamics import calculator
from deepset_bench.molecules.frames import FloatArray, Frames, IntArray
from deepset_bench.molecules.geometry import bonds, stretched
from deepset_bench.schema import Config
from deepset_bench.scoring.scored import Labels, Predictions, ScoredRun
from deepset_bench.variants import metric

KELVINS = (300.0, 500.0, 1000.0)
STARTS, PICOSECONDS = 8, 50.0
TIMESTEP, FRICTION = 0.5, 0.01
"""fs, and 1/fs."""
LOOK = 20
"""Steps between two looks at the bonds: 10 fs, about the period of a stretched bond to hydrogen."""
SEED = 0

Force = Callable[[Systems], FloatArray]
"""Systems with A atoms in all -> (A, 3) forces in eV/angstrom; a UserError where there are none."""


@metric("md_survival", unit="ps", digits=1, less_is_better=False, of="potential")
def md_survival(predictions: Predictions, labels: Labels, run: ScoredRun) -> dict[str, float]:
    """Picoseconds until a bond breaks, 50 at most: the mean over 8 starts, by temperature."""
    deployed = calculator(run, "float32", compile_it=True).deployed
    if deployed is None:
        raise UserError("md_survival: a run on every second edge has no forces to move by")
    frames = starts(run.config)
    if frames is None:
        frames = labels.frames.select(_spread(len(labels.frames)))
    return {
        f"at {kelvin:.0f} K": float(
            survived(frames, lambda systems: deployed(systems).forces, kelvin, PICOSECONDS).mean()
        )
        for kelvin in KELVINS
    }


def starts(config: Config) -> Frames | None:
    """Eight frames of the task that were not to be trained on; None without a task."""
    whole = divide(config.data.name, config.task)
    return whole.other.select(whole.ood[_spread(len(whole.ood))]) if len(whole.ood) else None


def survived(starts: Frames, force: Force, kelvin: float, picoseconds: float) -> FloatArray:
    """(M,) picoseconds until a bond of each start breaks, or its forces end; `picoseconds` at most.

    Args:
        starts: M frames of whole molecules.
        force: that moves them.
        kelvin: of the velocities that a fixed seed draws, and of the thermostat.
        picoseconds: after which dynamics end.
    """
    ended = np.full(len(starts), picoseconds)
    moving = [_Moving.of(starts, row, kelvin) for row in range(len(starts))]
    steps = round(1000 * picoseconds / TIMESTEP)
    forces = _forces(moving, force)
    for step in range(0, steps, LOOK):
        for _ in range(min(LOOK, steps - step)):
            forces = _step(moving, forces, force, kelvin)
        time = min(step + LOOK, steps) * TIMESTEP / 1000
        left = [one for one, of in zip(moving, forces, strict=True) if one.is_whole(of)]
        for one in moving:
            if one not in left:
                ended[one.row] = time
        if not left:
            break
        if len(left) < len(moving):
            moving = left
            forces = _forces(moving, force)
    return ended


@dataclass(eq=False)
class _Moving:
    """A molecule in motion: `velocities` (n, 3) in angstrom by ASE's unit of time."""

    row: int
    numbers: IntArray
    positions: FloatArray
    cell: FloatArray
    pbc: np.ndarray
    velocities: FloatArray
    bonded: IntArray
    usual: FloatArray
    random: np.random.Generator

    @classmethod
    def of(cls, starts: Frames, row: int, kelvin: float) -> _Moving:
        one = starts.select([row])
        random = np.random.default_rng([SEED, row, round(kelvin)])
        speed = np.sqrt(units.kB * kelvin / atomic_masses[one.numbers])[:, None]
        velocities = speed * random.normal(size=one.positions.shape)
        bonded, usual = bonds(one.numbers, one.positions[None])
        return cls(
            row, one.numbers, one.positions.copy(), one.cell[0], one.pbc[0], velocities, bonded,
            usual, random,
        )  # fmt: skip

    def is_whole(self, forces: FloatArray) -> bool:
        """Whether it has all its bonds, and forces that are numbers."""
        if not (np.isfinite(forces).all() and np.isfinite(self.positions).all()):
            return False
        return not stretched(self.numbers, self.positions[None], self.bonded, self.usual)[1].any()


def _step(
    moving: list[_Moving], forces: list[FloatArray], force: Force, kelvin: float
) -> list[FloatArray]:
    """One step of BAOAB; returns the forces at its end."""
    time = TIMESTEP * units.fs
    kept = np.exp(-FRICTION * TIMESTEP)
    for one, pull in zip(moving, forces, strict=True):
        mass = atomic_masses[one.numbers][:, None]
        one.velocities += 0.5 * time * pull / mass
        one.positions += 0.5 * time * one.velocities
        noise = one.random.normal(size=one.velocities.shape)
        scale = np.sqrt((1 - kept**2) * units.kB * kelvin / mass)
        one.velocities = kept * one.velocities + scale * noise
        one.positions += 0.5 * time * one.velocities
    forces = _forces(moving, force)
    for one, pull in zip(moving, forces, strict=True):
        one.velocities += 0.5 * time * pull / atomic_masses[one.numbers][:, None]
    return forces


def _forces(moving: list[_Moving], force: Force) -> list[FloatArray]:
    """Of each; NaN where there are none, as of atoms that fell onto each other."""
    try:
        found = force(_systems(moving))
    except UserError:
        if len(moving) == 1:
            return [np.full_like(moving[0].positions, np.nan)]
        return [of for one in moving for of in _forces([one], force)]
    return np.split(found, np.cumsum([len(one.numbers) for one in moving])[:-1])


def _systems(moving: list[_Moving]) -> Systems:
    return Systems(
        np.concatenate([one.numbers for one in moving]),
        np.concatenate([one.positions for one in moving]),
        np.array([len(one.numbers) for one in moving]),
        np.stack([one.cell for one in moving]),
        np.stack([one.pbc for one in moving]),
    )


def _spread(n_frames: int) -> IntArray:
    """Rows of the starts, evenly over the frames."""
    return np.unique(np.linspace(0, n_frames - 1, STARTS).astype(int))
