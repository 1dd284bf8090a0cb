"""Wrong labels, planted in sound sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from ase.units import kB

from deepset_bench.molecules.frames import FloatArray, Frames
from deepset_bench.molecules.xtb import relabel


@dataclass(frozen=True, eq=False)
class Planted:
    """A sound set, and labels of the same frames to take flaws from.

    Attributes:
        frames: M frames of one molecule of n atoms, GFN1-xTB.
        kelvin: of the electrons.
    """

    frames: Frames
    kelvin: float

    @property
    def shape(self) -> tuple[int, int]:
        """M and n."""
        return len(self.frames), int(self.frames.n_atoms[0])

    @property
    def positions(self) -> FloatArray:
        """(M, n, 3) in angstrom, to be written to."""
        return self.frames.positions.reshape(*self.shape, 3).copy()

    @property
    def forces(self) -> FloatArray:
        """(M, n, 3) in eV/angstrom, to be written to."""
        return self.frames.forces.reshape(*self.shape, 3).copy()

    def labelled(self, method: str = "gfn1", charge: int = 0, spin: int = 0) -> Frames:
        """The same frames with other labels, charge and multiplicity as stated before."""
        m = len(self.frames)
        asked = replace(self.frames, charge=self.frames.charge + charge, spin=np.full(m, spin))
        found = relabel(asked, method, electronic_temperature=self.kelvin)
        return replace(found, charge=self.frames.charge, spin=self.frames.spin, bias_forces=None)

    def with_labels(
        self,
        energy: FloatArray | None = None,
        forces: FloatArray | None = None,
        positions: FloatArray | None = None,
    ) -> Frames:
        """The set with some labels, or positions, in place of its own."""
        old = self.frames
        return replace(
            old,
            energy=old.energy if energy is None else energy,
            forces=old.forces if forces is None else forces.reshape(-1, 3),
            positions=old.positions if positions is None else positions.reshape(-1, 3),
        )


Plant = Callable[[Planted, float, np.random.Generator], Frames]


def _some(planted: Planted, share: float, rng: np.random.Generator) -> np.ndarray:
    """Rows of a share of the frames, one at least."""
    m = len(planted.frames)
    return np.sort(rng.choice(m, max(1, round(share * m)), replace=False))


def other_forces(planted: Planted, share: float, rng: np.random.Generator) -> Frames:
    """GFN2-xTB forces."""
    forces, rows = planted.forces, _some(planted, share, rng)
    forces[rows] = planted.labelled("gfn2").forces.reshape(forces.shape)[rows]
    return planted.with_labels(forces=forces)


def other_energies(planted: Planted, share: float, rng: np.random.Generator) -> Frames:
    """GFN2-xTB energies, their median as that of the others."""
    energy, rows = planted.frames.energy.copy(), _some(planted, share, rng)
    other = planted.labelled("gfn2").energy
    energy[rows] = (other + np.median(energy - other))[rows]
    return planted.with_labels(energy=energy)


def other_level(planted: Planted, share: float, rng: np.random.Generator) -> Frames:
    """GFN2-xTB energies as they are, and forces."""
    energy, forces, rows = planted.frames.energy.copy(), planted.forces, _some(planted, share, rng)
    other = planted.labelled("gfn2")
    energy[rows], forces[rows] = other.energy[rows], other.forces.reshape(forces.shape)[rows]
    return planted.with_labels(energy=energy, forces=forces)


def _pull(
    planted: Planted, stiffness: float, rng: np.random.Generator, share: float, wall: bool
) -> Frames:
    m, n = planted.shape
    i, j = rng.choice(n, 2, replace=False)
    positions, forces = planted.positions, planted.forces
    vector = positions[:, i] - positions[:, j]
    d = np.linalg.norm(vector, axis=1)
    beyond = d - d.mean() - 0.1
    if wall:
        beyond = np.maximum(d - d.mean(), 0)
    on = np.zeros(m)
    on[_some(planted, share, rng)] = 1
    pull = -(stiffness * beyond * on / d)[:, None] * vector
    forces[:, i] += pull
    forces[:, j] -= pull
    return planted.with_labels(forces=forces)


def restraint(share: float, wall: bool = False) -> Plant:
    """A spring between two atoms in the forces of a share of the frames, 0.1 angstrom off its rest.

    A wall pushes where they are further apart than on average.
    """
    return lambda planted, stiffness, rng: _pull(planted, stiffness, rng, share, wall)


def force_factor(planted: Planted, factor: float, rng: np.random.Generator) -> Frames:
    """All forces times a factor."""
    return planted.with_labels(forces=factor * planted.forces)


def energy_factor(planted: Planted, factor: float, rng: np.random.Generator) -> Frames:
    """All energies times a factor."""
    return planted.with_labels(energy=factor * planted.frames.energy)


def moved(share: float) -> Plant:
    """Positions of a share of the frames are displaced after the labels were computed."""

    def plant(planted: Planted, size: float, rng: np.random.Generator) -> Frames:
        positions, rows = planted.positions, _some(planted, share, rng)
        positions[rows] += rng.normal(0, size, positions[rows].shape)
        return planted.with_labels(positions=positions)

    return plant


def drift(planted: Planted, size: float, rng: np.random.Generator) -> Frames:
    """The energies grow linearly along the series."""
    m = len(planted.frames)
    return planted.with_labels(energy=planted.frames.energy + size * np.linspace(0, 1, m))


def step(planted: Planted, size: float, rng: np.random.Generator) -> Frames:
    """The energies are higher from the middle on."""
    m = len(planted.frames)
    return planted.with_labels(energy=planted.frames.energy + size * (np.arange(m) >= m // 2))


def total(planted: Planted, kelvin: float, rng: np.random.Generator) -> Frames:
    """Kinetic energy of a temperature is in the energies."""
    m, n = planted.shape
    kinetic = kB * kelvin * rng.gamma(1.5 * n - 1.5, size=m)
    return planted.with_labels(energy=planted.frames.energy + kinetic)


def one_energy(planted: Planted, size: float, rng: np.random.Generator) -> Frames:
    """The energy of one frame is off."""
    energy = planted.frames.energy.copy()
    energy[rng.integers(len(energy))] += size
    return planted.with_labels(energy=energy)


def noise(planted: Planted, size: float, rng: np.random.Generator) -> Frames:
    """Every force component is off at random."""
    return planted.with_labels(forces=planted.forces + rng.normal(0, size, planted.forces.shape))


def rounded(planted: Planted, share: float, rng: np.random.Generator) -> Frames:
    """Energies are multiples of a step, a share of their spread."""
    step = share * float(planted.frames.energy.std())
    return planted.with_labels(energy=step * np.round(planted.frames.energy / step))


def swapped(planted: Planted, share: float, rng: np.random.Generator) -> Frames:
    """A share of the frames have the forces of the frame after the next."""
    forces, rows = planted.forces, _some(planted, share, rng)
    forces[rows] = np.roll(planted.forces, 2, axis=0)[rows]
    return planted.with_labels(forces=forces)


def charged(planted: Planted, charge: float, rng: np.random.Generator) -> Frames:
    """Labels of an ion, unsaid."""
    return planted.labelled(charge=int(charge))


def excited(planted: Planted, spin: float, rng: np.random.Generator) -> Frames:
    """Labels of another multiplicity, unsaid."""
    return planted.labelled(spin=int(spin))


FLAWS: tuple[tuple[str, Plant, str, tuple[float, ...]], ...] = (
    ("forces of another method", other_forces, "of the frames", (0.1, 0.3)),
    ("energies of another method", other_energies, "of the frames", (0.1, 0.3)),
    ("both, with their offset", other_level, "of the frames", (0.02, 0.1, 0.3)),
    ("restraint in the forces", restraint(1.0), "eV/Å²", (0.3, 1.0, 3.0)),
    ("the same in 20 % of the frames", restraint(0.2), "eV/Å²", (1.0, 3.0, 10.0)),
    ("wall in the forces", restraint(1.0, wall=True), "eV/Å²", (1.0, 3.0)),
    ("the same in 20 % of the frames", restraint(0.2, wall=True), "eV/Å²", (3.0, 10.0)),
    ("forces times a factor", force_factor, "", (0.95, 0.85, 0.5292, -1.0)),
    ("energies times a factor", energy_factor, "", (1.1, 27.21)),
    ("positions of all frames", moved(1.0), "Å", (0.005, 0.02, 0.05)),
    ("positions of one frame", moved(0.0), "Å", (0.02, 0.05)),
    ("energy drift", drift, "eV", (0.02, 0.1)),
    ("energy step", step, "eV", (0.02, 0.1)),
    ("total energies", total, "K", (300.0,)),
    ("energy of one frame", one_energy, "eV", (0.03, 0.1, 0.5)),
    ("force noise", noise, "eV/Å", (0.01, 0.03, 0.1)),
    ("energies rounded", rounded, "of their spread", (0.02, 0.2)),
    ("forces of other frames", swapped, "of the frames", (0.02, 0.2)),
    ("labels of charge", charged, "more", (1.0, -1.0)),
    ("labels of multiplicity", excited, "", (3.0,)),
)
"""Name, how it is planted, unit of the size, and sizes."""
