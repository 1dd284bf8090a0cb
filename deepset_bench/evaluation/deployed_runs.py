"""Trained runs in their deployed form: for systems that move, one geometry after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from deepset_bench import replicate
from deepset_bench.deployment.domain import Domain
from deepset_bench.deployment.exported import is_file, open_exported
from deepset_bench.deployment.function import Deployed
from deepset_bench.deployment.neighbourhoods import Systems
from deepset_bench.deployment.runner import Runner
from deepset_bench.errors import UserError
from deepset_bench.evaluation.trained import Trained
from deepset_bench.molecules.frames import FloatArray


class PredictedSystems(NamedTuple):
    """Means over runs of what they say of M systems with A atoms in all.

    Attributes:
        energies: (A,) eV, the reference included; their sum over a system is its energy.
        forces: (A, 3) eV/angstrom.
        strain: (A, 3, 3) eV, derivatives of the energies by a strain.
        energy_uncertainty: (M,) eV, sample standard deviation over the runs; None for one run.
        forces_uncertainty: (A, 3) eV/angstrom, likewise.
    """

    energies: FloatArray
    forces: FloatArray
    strain: FloatArray
    energy_uncertainty: FloatArray | None
    forces_uncertainty: FloatArray | None


class AtWork(NamedTuple):
    """A potential at work.

    `runner` computes it, `domain` is what it was trained on, `constant` eV of each molecule beside.
    """

    runner: Runner
    domain: Domain
    constant: float


class DeployedRuns:
    """Runs that differ in their seeds alone."""

    def __init__(self, members: Sequence[AtWork]) -> None:
        self.members = members

    def __call__(self, systems: Systems) -> PredictedSystems:
        """Predict systems whose elements are known.

        Raises:
            UserError: two atoms are at one place, or a position, the cell or a prediction is not
                finite.
        """
        # An atom at NaN would be none of its neighbours', and the energy a number all the same.
        if not (np.isfinite(systems.positions).all() and np.isfinite(systems.cell).all()):
            raise UserError("a position or a lattice vector is NaN or infinite")
        answers = []
        for member in self.members:
            energies, forces, strain = member.runner(systems)
            if member.constant:
                energies += np.repeat(member.constant / systems.n_atoms, systems.n_atoms)
            answers.append((energies, forces, strain))
        if not all(
            np.isfinite(energies).all() and np.isfinite(f).all() for energies, f, _ in answers
        ):
            raise UserError(_not_finite(systems))
        if len(answers) == 1:
            return PredictedSystems(*answers[0], None, None)
        energies, forces, strain = (np.stack(values) for values in zip(*answers, strict=True))
        start = np.cumsum(systems.n_atoms) - systems.n_atoms
        of_systems = np.add.reduceat(energies, start, axis=1)
        return PredictedSystems(
            energies=energies.mean(axis=0),
            forces=forces.mean(axis=0),
            strain=strain.mean(axis=0),
            energy_uncertainty=of_systems.std(axis=0, ddof=1),
            forces_uncertainty=forces.std(axis=0, ddof=1),
        )


def of_run(run: Trained, compile_it: bool | None, say: Callable[[str], None]) -> AtWork:
    """A run in its deployed form; see `Runner` for the other arguments."""
    runner = Runner(deployed(run), run.potential.species, compile_it, say)
    return AtWork(runner, run.domain, run.reference.constant)


def of_files(
    files: Sequence[Path],
    precision: str | None,
    compile_it: bool | None,
    say: Callable[[str], None],
) -> list[AtWork]:
    """Exported files.

    Args:
        files: of runs that differ in their seeds alone.
        precision: that they are to have; None for any.
        compile_it: see `open_exported`, as for `say`.

    Raises:
        UserError: a file cannot be used, or they are not of such runs.
    """
    if folders := [file for file in files if not is_file(file)]:
        raise UserError(f"{folders[0]}: run folders and exported files cannot be taken together")
    opened = [open_exported(file, compile_it, say) for file in files]
    first = opened[0].facts
    if precision not in (None, first["precision"]):
        raise UserError(
            f"precision={precision}: {files[0]} computes in {first['precision']}; export it with "
            f"--precision {precision}"
        )
    for file, other in zip(files, opened, strict=True):
        one, two = first["run"]["determinants"], other.facts["run"]["determinants"]
        differing = [key for key in {**one, **two} if one.get(key) != two.get(key)]
        differing += [key for key in ("data", "precision") if first[key] != other.facts[key]]
        if found := [key for key in differing if key not in replicate.KEYS]:
            raise UserError(
                f"{file} and {files[0]} differ in {found[0]}; several files must be of runs that "
                "differ only in their seeds"
            )
    return [
        AtWork(Runner(one, one.species, compile_it, say), one.domain, one.constant)
        for one in opened
    ]


def deployed(member: Trained) -> Deployed:
    """The deployed form of a run.

    Raises:
        UserError: it has none.
    """
    if member.config.every_second:
        raise UserError(
            f"{member.folder.path}: was trained on every second edge, so that what it says of a "
            "molecule depends on how its edges are counted; it has no deployed form"
        )
    return Deployed(member.potential, member.reference, member.config.cutoff)


def _not_finite(systems: Systems) -> str:
    """Why predictions are NaN or infinite."""
    system = np.repeat(np.arange(len(systems.n_atoms)), systems.n_atoms)
    places = np.column_stack([systems.positions, system])
    if len(np.unique(places, axis=0)) < len(places):
        return "two atoms are at one place"
    return "what is predicted is NaN or infinite; bench check RUN examines the run"
