"""Metrics of a trained potential that moves a molecule: how fast a step is, what energy is lost.

Both start from the run's first test frame of several atoms, with velocities of 300 K that a fixed
seed draws and without a motion or rotation of the whole, and go on by velocity Verlet in steps of
0.5 fs (Swope et al., J. Chem. Phys. 1982, 76, 637), through the calculator that anybody's own
dynamics would use.
"""

from __future__ import annotations

import math
from time import perf_counter

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.velocitydistribution import Stationary, ZeroRotation, thermalize_momenta
from ase.md.verlet import VelocityVerlet

from deepset_bench.errors import UserError
from deepset_bench.evaluation.ase_calculator import CHARGE, SPIN, DeepSetCalculator
from deepset_bench.molecules.frames import Frames
from deepset_bench.scoring.scored import Labels, Predictions, ScoredRun
from deepset_bench.variants import metric

KELVIN, SEED = 300.0, 0
TIMESTEP = 0.5
"""fs."""
STEPS = 4000
"""Of the dynamics whose energy is watched: 2 ps."""
WARM_UP, TIMED = 20, 200
"""Steps before the clock is started, and while it runs."""


@metric("ms_per_md_step", digits=2, of="potential")
def ms_per_md_step(predictions: Predictions, labels: Labels, run: ScoredRun) -> float:
    """Milliseconds that a step of dynamics takes with ASE; compare runs of one machine alone.

    Of the compiled potential, which long dynamics come to by themselves.
    """
    return ms_a_step(moving(labels.frames, calculator(run, "float32", compile_it=True)))


@metric("nve_drift", unit="eV/atom/ps", digits=6, of="potential")
def nve_drift(predictions: Predictions, labels: Labels, run: ScoredRun) -> float:
    """Drift of the total energy, 2 ps of NVE from 300 K; none where it left the finite numbers.

    The size of the slope of a straight line through the total energies of all steps. In float64, so
    that it is the potential's and not that of rounding.
    """
    return drift(moving(labels.frames, calculator(run, "float64")), STEPS)


def moving(frames: Frames, calculator: Calculator) -> Atoms:
    """The first frame of several atoms, with velocities of KELVIN.

    A lone atom, as some sets hold them, has no motion but that of the whole.

    Args:
        frames: among which one is looked for.
        calculator: that is to move it.

    Raises:
        UserError: there is none.
    """
    several = np.flatnonzero(frames.n_atoms > 1)
    if not len(several):
        raise UserError("no test frame has more than one atom, so that there are no dynamics")
    first = frames.select(several[:1])
    atoms = Atoms(
        first.numbers, first.positions, cell=first.cell[0], pbc=first.pbc[0], calculator=calculator
    )
    atoms.info = {CHARGE[0]: int(first.charge[0]), SPIN[0]: int(first.multiplicity[0])}
    thermalize_momenta(atoms, KELVIN, rng=np.random.default_rng(SEED))
    Stationary(atoms)
    if not atoms.pbc.any():
        ZeroRotation(atoms)
    return atoms


def ms_a_step(atoms: Atoms) -> float:
    """Milliseconds of wall time a step, the mean of TIMED steps after WARM_UP."""
    dynamics = VelocityVerlet(atoms, TIMESTEP * units.fs)
    dynamics.run(WARM_UP)
    begun = perf_counter()
    dynamics.run(TIMED)
    return 1000 * (perf_counter() - begun) / TIMED


def drift(atoms: Atoms, steps: int) -> float:
    """Size of the slope of the total energy, eV an atom and ps.

    Args:
        atoms: with velocities.
        steps: to make.

    Raises:
        UserError: the energy becomes NaN or infinite; says after which time.
    """
    dynamics = VelocityVerlet(atoms, TIMESTEP * units.fs)
    picoseconds = TIMESTEP * np.arange(steps + 1) / 1000
    energies = [_total_energy(atoms)]
    for time in picoseconds[1:]:
        try:
            dynamics.run(1)
            energies.append(_total_energy(atoms))
        except UserError as error:
            raise UserError(f"nve_drift: after {time:g} ps of dynamics, {error}") from None
    slope = np.polynomial.Polynomial.fit(picoseconds, energies, 1).convert().coef[-1]
    return float(abs(slope)) / len(atoms)


def _total_energy(atoms: Atoms) -> float:
    energy = float(atoms.get_total_energy())
    if not math.isfinite(energy):
        raise UserError("the energy is NaN or infinite")
    return energy


def calculator(
    run: ScoredRun, precision: str, *, compile_it: bool | None = None
) -> DeepSetCalculator:
    """Of a run that is done, in a precision; see `DeepSetCalculator` for the rest."""
    assert run.folder is not None, "measured of a run that is done"
    device = run.config.device
    return DeepSetCalculator(run.folder, device=device, precision=precision, compile=compile_it)
