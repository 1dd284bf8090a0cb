"""The physics that any potential is to obey, as tests to inherit: run them with pytest.

    from deepset_bench.testing import PotentialTests

    class TestMyLayer(PotentialTests):
        variants = "variants.py"
        overrides = ("gnn=my_layer",)

The network is not trained, in float64 and in eval mode. Bounds are relative to the largest energy
or force at hand; `ROUNDING` is for quantities that are equal in exact arithmetic.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pytest
import torch

from deepset_bench.config import experiment
from deepset_bench.deployment.function import Deployed
from deepset_bench.deployment.neighbourhoods import Systems
from deepset_bench.deployment.runner import Runner
from deepset_bench.errors import UserError
from deepset_bench.model.batches import Tables
from deepset_bench.model.build import build_model
from deepset_bench.model.energy_reference import EnergyReference
from deepset_bench.model.potential import Potential
from deepset_bench.molecules.frames import FloatArray, Frames, IntArray
from deepset_bench.molecules.neighbours import neighbour_pairs
from deepset_bench.registry import ENVIRONMENT
from deepset_bench.schema import Config

ROUNDING = 1e-11
FAR = 100.0  # angstrom
SCALE = 0.7  # eV


def geometry(numbers: IntArray, positions: FloatArray) -> Frames:
    """One frame without labels; (n,) atomic numbers and (n, 3) in angstrom."""
    n = len(numbers)
    return Frames(
        numbers=numbers,
        positions=positions,
        n_atoms=np.array([n]),
        energy=np.zeros(1),
        forces=np.zeros((n, 3)),
        bias_forces=None,
        molecule=np.array(["m"]),
        index=np.array([0]),
    )


def random_molecule(elements: Sequence[int], n_atoms: int, seed: int) -> Frames:
    """Atoms 0.9 to 1.6 angstrom from an earlier one, and from none nearer than 0.9."""
    rng = np.random.default_rng(seed)
    positions = [np.zeros(3)]
    while len(positions) < n_atoms:
        step = rng.normal(size=3)
        new = positions[rng.integers(len(positions))] + step / np.linalg.norm(step) * rng.uniform(
            0.9, 1.6
        )
        if min(np.linalg.norm(new - old) for old in positions) > 0.9:
            positions.append(new)
    return geometry(np.resize(np.array(elements), n_atoms), np.array(positions))


def random_crystal(elements: Sequence[int], n_atoms: int, seed: int) -> Frames:
    """Atoms at least 1.2 angstrom apart in a leaning cell of about 3 angstrom, images and all."""
    rng = np.random.default_rng(seed)
    cell = np.array([[3.1, 0.0, 0.2], [0.7, 2.9, 0.0], [-0.6, 0.5, 3.3]])
    while True:
        frames = geometry(np.resize(np.array(elements), n_atoms), rng.uniform(size=(n_atoms, 3)))
        frames = replace(
            moved(frames, frames.positions @ cell),
            cell=cell[None],
            pbc=np.ones((1, 3), dtype=bool),
        )
        if not len(neighbour_pairs(frames, 1.2).i):
            return frames


class Evaluated(NamedTuple):
    """(M,) energies, (A, 3) forces and (M, 3, 3) stress, zero where no frame is periodic."""

    energy: FloatArray
    forces: FloatArray
    stress: FloatArray


def evaluate(
    potential: Potential, config: Config, frames: Sequence[Frames] | Frames, *, alone: bool = False
) -> tuple[FloatArray, FloatArray]:
    """(M,) energies and (A, 3) forces without padding; in one batch, or each frame `alone`."""
    return evaluate_all(potential, config, frames, alone=alone)[:2]


def evaluate_all(
    potential: Potential, config: Config, frames: Sequence[Frames] | Frames, *, alone: bool = False
) -> Evaluated:
    """The same with the stress."""
    whole = frames if isinstance(frames, Frames) else Frames.concatenate(frames)
    tables = potential.prepare(
        Tables.build(
            whole,
            config.cutoff,
            dtype=torch.get_default_dtype(),
            every_second=config.every_second,
        )
    )
    energies, forces, stress = [], [], []
    for rows in torch.arange(len(whole)).split(1 if alone else len(whole)):
        batch = tables.gather(rows)
        prediction = potential(batch)
        energies.append(prediction.energy.detach())
        forces.append(prediction.forces.detach()[batch.numbers > 0])
        none = torch.zeros(len(rows), 3, 3)
        stress.append(none if prediction.stress is None else prediction.stress.detach())
    return Evaluated(*(torch.cat(parts).numpy() for parts in (energies, forces, stress)))


def deployed_energies_and_forces(
    potential: Potential, config: Config, frames: Sequence[Frames]
) -> tuple[FloatArray, FloatArray]:
    """(M,) energies and (A, 3) forces of the deployed form, not compiled."""
    whole, species = Frames.concatenate(frames), potential.species
    nothing = np.zeros(len(species))
    reference = EnergyReference(species.numpy(), nothing, constant=0.0, rank=len(species))
    runner = Runner(Deployed(potential, reference, config.cutoff), species, compile_it=False)
    systems = Systems(whole.numbers, whole.positions, whole.n_atoms, whole.cell, whole.pbc)
    energies, forces, _ = runner(systems)
    return np.add.reduceat(energies, whole.offsets[:-1]), forces


def moved(frames: Frames, positions: FloatArray) -> Frames:
    """The same atoms elsewhere, in the same cell."""
    return replace(frames, positions=positions)


def permuted(frames: Frames, order: IntArray) -> Frames:
    """The same molecule with its atoms in another order."""
    return geometry(frames.numbers[order], frames.positions[order])


def repeated(frames: Frames, axis: int = 0) -> Frames:
    """Two cells of a crystal, one behind the other along one of the vectors, as one."""
    twice = geometry(
        np.tile(frames.numbers, 2),
        np.concatenate([frames.positions, frames.positions + frames.cell[0, axis]]),
    )
    cell = frames.cell.copy()
    cell[0, axis] *= 2
    return replace(twice, cell=cell, pbc=frames.pbc)


def strained(frames: Frames, strain: FloatArray) -> Frames:
    """A crystal with every vector v as v + strain @ v."""
    map_ = np.eye(3) + strain
    return replace(frames, positions=frames.positions @ map_.T, cell=frames.cell @ map_.T)


def joined(a: Frames, b: Frames, shift: float) -> Frames:
    """One frame of two, the second moved along x."""
    return geometry(
        np.concatenate([a.numbers, b.numbers]),
        np.concatenate([a.positions, b.positions + np.array([shift, 0.0, 0.0])]),
    )


def orthogonal(seed: int, determinant: int) -> FloatArray:
    """A random rotation (determinant 1) or rotation and reflection (-1)."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q[:, 0] *= determinant * np.linalg.det(q)
    return q


def close(found: FloatArray, expected: FloatArray, relative: float = ROUNDING) -> None:
    """Equal up to `relative` times the largest expected number."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=relative * np.abs(expected).max())


def crossing(elements: Sequence[int], cutoff: float, beyond: float) -> Frames:
    """Three atoms; the first and the last are `beyond` angstrom further apart than the cutoff.

    The last atom stays within the cutoff of the second, so that it never stands alone.
    """
    positions = np.array([[0.0, 0.0, 0.0], [0.6, 0.9, 0.0], [cutoff + beyond, 0.0, 0.0]])
    return geometry(np.resize(np.array(elements[::-1]), 3), positions)


def jump_ratio(
    potential: Potential, config: Config, elements: Sequence[int], step: float = 1e-5
) -> tuple[float, float]:
    """How the change of energy and of forces across the cutoff shrinks when the step does.

    The change between `step` inside and `step` outside is jump + O(step). A tenth of the step
    leaves a tenth of it where there is no jump and all of it where there is one; much less where
    the functions go to zero faster. Zero where nothing changes beyond rounding.
    """
    changes = []
    for h in (step, step / 10):
        pair = [crossing(elements, config.cutoff, side * h) for side in (-1, 1)]
        energy, forces = evaluate(potential, config, pair, alone=True)
        inside, outside = forces.reshape(2, -1)
        sizes = np.array([abs(energy[1] - energy[0]), np.abs(outside - inside).max()])
        rounding = 1e3 * np.finfo(float).eps * max(np.abs(energy).max(), 1.0)
        changes.append(np.where(sizes > rounding, sizes, 0.0))
    first, second = changes
    ratio = np.divide(second, first, out=np.zeros(2), where=first > 0)
    return float(ratio[0]), float(ratio[1])


def largest_jump(
    potential: Potential, config: Config, elements: Sequence[int], start: float, stop: float
) -> float:
    """By how much the energy jumps at some distance, as a share of all that it changes by.

    Two atoms move apart, from `start` to `stop` in angstrom, beside a third. A jump is looked for
    where the energy is least like a straight line, nearer and nearer, until what is left between
    two distances is a jump or nothing. Forces are not looked at: the lengths of vectors that most
    equivariant networks are made of have a kink where they are zero.
    """
    numbers, third = np.resize(np.array(elements), 3), [config.cutoff / 2, 0.9, 0.0]

    def along(distances: FloatArray) -> FloatArray:
        places = ([[0.0, 0.0, 0.0], [d, 0.0, 0.0], third] for d in distances)
        frames = [geometry(numbers, np.array(place)) for place in places]
        return evaluate(potential, config, frames)[0]

    d = np.linspace(start, stop, 400)
    energies = along(d)
    whole = max(np.ptp(energies), 1e-3 * SCALE)
    for _ in range(7):  # each is nine times nearer
        worst = np.abs(np.diff(energies, 2)).argmax()
        d = np.linspace(d[worst], d[worst + 2], 19)
        energies = along(d)
    return float(np.ptp(energies) / whole)


class PotentialTests:
    """Tests of the untrained network that `overrides` describe.

    Attributes:
        variants: a file of variants of your own, or None.
        overrides: as on the command line.
        elements: atomic numbers that its molecules are of.
        own_images: whether it takes cells so small that an atom is near images of itself.
        jumps: whether its energy may jump where a pair crosses the cutoff, as behind a graph layer
            that sees no distances. A potential for dynamics has no jump.
    """

    variants: ClassVar[str | Path | None] = None
    overrides: ClassVar[Sequence[str]] = ()
    elements: ClassVar[Sequence[int]] = (6, 1)
    own_images: ClassVar[bool] = True
    jumps: ClassVar[bool] = False

    @pytest.fixture(autouse=True)
    def in_float64(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Parameters made in a test are float64 from the start; its variants are known."""
        if self.variants is not None:
            monkeypatch.setenv(ENVIRONMENT, str(Path(self.variants).absolute()))
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        yield
        torch.set_default_dtype(before)

    @pytest.fixture
    def config(self) -> Config:
        """The configuration."""
        return copy.deepcopy(experiment(self.overrides).config)

    @pytest.fixture
    def potential(self, config: Config) -> Potential:
        """It, not trained, of a scale in eV that is not one."""
        torch.manual_seed(0)
        species = torch.tensor(sorted(self.elements))
        return Potential(build_model(config), species, SCALE, form=config.form).eval()

    @pytest.fixture
    def molecule(self, config: Config) -> Frames:
        """Seven atoms."""
        return random_molecule(self.elements, 7, 1)

    @pytest.fixture
    def other(self, config: Config) -> Frames:
        """Five atoms."""
        return random_molecule(self.elements, 5, 2)

    @pytest.fixture
    def crystal(self, config: Config) -> Frames:
        """Four atoms in a cell smaller than the cutoff, or eight of it in one that is larger."""
        if config.every_second:
            pytest.skip("every second edge is left out of molecules alone")
        small = random_crystal(self.elements, 4, 1)
        if self.own_images:
            return small
        return repeated(repeated(repeated(small, 0), 1), 2)

    def test_forces_are_minus_the_gradient(
        self, potential: Potential, config: Config, molecule: Frames
    ) -> None:
        """Central differences D(h) = -F + c h^2: the error of D(h/2) is a third of D(h) - D(h/2).

        That difference must itself be small, so that a large one cannot excuse a wrong force.
        """
        energy, forces = evaluate(potential, config, molecule)
        gradients = []
        h = 2e-5
        for step in (h, h / 2):
            shifts = step * np.eye(forces.size).reshape(-1, *forces.shape)
            displaced = [moved(molecule, molecule.positions + s) for s in (*shifts, *-shifts)]
            energies, _ = evaluate(potential, config, displaced, alone=config.every_second)
            up, down = energies.reshape(2, -1)
            gradients.append(((up - down) / (2 * step)).reshape(forces.shape))
        largest = np.abs(forces).max()
        assert largest > 1e-3 * SCALE, "the energy hardly depends on the positions"
        # Two energies, each a sum of terms of about its own size, right to some 1e-15 relative.
        rounding = 2e-14 * max(abs(energy[0]), 1.0) / h
        truncation = np.abs(gradients[0] - gradients[1])
        assert truncation.max() < 1e-4 * largest + rounding
        assert (np.abs(forces + gradients[1]) <= truncation + rounding).all()

    def test_translation(self, potential: Potential, config: Config, molecule: Frames) -> None:
        """Somewhere else, energy and forces are the same."""
        energy, forces = evaluate(potential, config, molecule)
        away = moved(molecule, molecule.positions + np.array([10.0, -20.0, 30.0]))
        new_energy, new_forces = evaluate(potential, config, away)
        # Positions near 30 carry 4e-15 angstrom of rounding into a difference near 1; the gate
        # near a threshold (logit 1 / 0.01) multiplies it by 1e4.
        close(new_energy, energy, 1e-10)
        close(new_forces, forces, 1e-9)

    @pytest.mark.parametrize("determinant", [1, -1], ids=["rotation", "reflection"])
    def test_rotation(
        self, potential: Potential, config: Config, molecule: Frames, determinant: int
    ) -> None:
        """Turned or mirrored, the energy is the same and the forces turn with the molecule."""
        energy, forces = evaluate(potential, config, molecule)
        Q = orthogonal(3, determinant)
        turned = moved(molecule, molecule.positions @ Q)
        new_energy, new_forces = evaluate(potential, config, turned)
        close(new_energy, energy, 1e-10)
        close(new_forces, forces @ Q, 1e-9)

    def test_net_force_and_torque_are_zero(
        self, potential: Potential, config: Config, molecule: Frames
    ) -> None:
        """What follows from both."""
        _, forces = evaluate(potential, config, molecule)
        largest = np.abs(forces).max()
        assert np.abs(forces.sum(0)).max() < ROUNDING * largest
        torque = np.cross(molecule.positions, forces).sum(0)
        assert np.abs(torque).max() < ROUNDING * largest * np.abs(molecule.positions).max()

    def test_atomic_energies_sum_to_the_energy(
        self, potential: Potential, config: Config, molecule: Frames, other: Frames
    ) -> None:
        """And padding has none."""
        frames = Frames.concatenate([molecule, other])
        tables = potential.prepare(Tables.build(frames, config.cutoff, dtype=torch.float64))
        prediction = potential(tables.gather(torch.tensor([0, 1])))
        atomic = prediction.atomic_energies.detach().view(2, 7).numpy()
        assert (np.abs(atomic[1, :5]) > 0).all()
        np.testing.assert_array_equal(atomic[1, 5:], 0.0)
        close(atomic.sum(1), prediction.energy.detach().numpy())

    def test_an_isolated_atom(self, potential: Potential, config: Config) -> None:
        """It has an energy and no force."""
        for number in self.elements:
            energy, forces = evaluate(
                potential, config, geometry(np.array([number]), np.zeros((1, 3)))
            )
            assert np.isfinite(energy).all()
            np.testing.assert_array_equal(forces, 0.0)

    def test_a_separated_pair_is_two_atoms(self, potential: Potential, config: Config) -> None:
        """Beyond the cutoff there is no force."""
        numbers = np.resize(np.array(self.elements), 2)
        one, two = (geometry(np.array([z]), np.zeros((1, 3))) for z in numbers)
        alone, _ = evaluate(potential, config, [one, two])
        for distance in (config.cutoff + 1e-6, FAR, 1e6):
            energy, forces = evaluate(potential, config, joined(one, two, distance))
            close(energy, alone.sum(keepdims=True))
            np.testing.assert_array_equal(forces, 0.0)

    def test_atoms_in_a_line(self, potential: Potential, config: Config) -> None:
        """Forces along the line, though nothing says which way is across."""
        line = np.array([1.0, 2.0, 2.0]) / 3
        numbers = np.resize(np.array(self.elements), 3)
        frame = geometry(numbers, np.outer([0.0, 1.1, 2.4], line))
        _, forces = evaluate(potential, config, frame)
        along = np.outer(forces @ line, line)
        close(forces, along, 1e-6)

    def test_an_atom_at_the_cutoff(self, potential: Potential, config: Config) -> None:
        """It is within it or beyond, and nothing else."""
        step = 1e-7
        frames = [crossing(self.elements, config.cutoff, side * step) for side in (0, -1, 1)]
        energy, forces = evaluate(potential, config, frames, alone=True)
        assert np.abs(energy[1:] - energy[0]).min() < 1e-5 * SCALE
        at, *sides = forces.reshape(3, -1)
        assert min(np.abs(side - at).max() for side in sides) < 1e-4 * SCALE

    def test_two_atoms_at_one_place(
        self, potential: Potential, config: Config, molecule: Frames
    ) -> None:
        """They have no direction: one line says so."""
        positions = molecule.positions.copy()
        positions[1] = positions[0]
        with pytest.raises(UserError, match=r"frame 0 \(.+\): two atoms at one place"):
            evaluate(potential, config, moved(molecule, positions))

    def test_hundreds_of_atoms(
        self, potential: Potential, config: Config, molecule: Frames
    ) -> None:
        """Many copies far apart: so many times the energy, and each has its forces."""
        if config.every_second:
            pytest.skip("which edges are left out depends on how many there are")
        energy, forces = evaluate(potential, config, molecule)
        places = 30.0 * np.array(list(np.ndindex(4, 4, 5)))
        copies = len(places)
        positions = np.concatenate([molecule.positions + place for place in places])
        many = geometry(np.tile(molecule.numbers, copies), positions)
        whole, each = evaluate(potential, config, many)
        close(whole, copies * energy, 1e-9)
        close(each, np.tile(forces, (copies, 1)), 1e-9)

    def test_single_precision(
        self, potential: Potential, config: Config, molecule: Frames, other: Frames
    ) -> None:
        """As models are trained: right to 1e-5 eV an atom, and 1e-4 of the largest force."""
        frames = [molecule, other]
        energy, forces = evaluate(potential, config, frames)
        single = copy.deepcopy(potential).float()
        torch.set_default_dtype(torch.float32)
        energy_0, forces_0 = evaluate(single, config, frames)
        n = np.array([len(frame.numbers) for frame in frames])
        assert (np.abs(energy_0 - energy) < 1e-5 * (SCALE * n + np.abs(energy))).all()
        close(forces_0, forces, 1e-4)

    def test_its_state_is_all_that_it_is(
        self, potential: Potential, config: Config, molecule: Frames
    ) -> None:
        """Made anew of other random numbers and given its state, as from a checkpoint, it is it."""
        energy, forces = evaluate(potential, config, molecule)
        torch.manual_seed(1)
        anew = Potential(build_model(config), potential.species, 2 * SCALE, form=config.form)
        anew.load_state_dict(potential.state_dict())
        found, found_forces = evaluate(anew.eval(), config, molecule)
        close(found, energy)
        close(found_forces, forces)

    def test_gradients_of_a_training_step_are_finite(
        self, potential: Potential, config: Config, molecule: Frames, other: Frames
    ) -> None:
        """By its parameters, of energies and forces, for an atom alone and beside padding, too."""
        atom = geometry(np.array([self.elements[0]]), np.zeros((1, 3)))
        frames = Frames.concatenate([molecule, atom, other])
        tables = Tables.build(
            frames, config.cutoff, dtype=torch.float64, every_second=config.every_second
        )
        prediction = potential.train()(potential.prepare(tables).gather(torch.arange(3)))
        loss = prediction.energy.square().sum() + prediction.forces.square().sum()
        learned = [*potential.parameters()]
        found = torch.autograd.grad(loss, learned, allow_unused=True)
        gradients = [gradient for gradient in found if gradient is not None]
        assert all(bool(gradient.isfinite().all()) for gradient in gradients)
        assert any(bool(gradient.any()) for gradient in gradients), "nothing would be learned"

    def test_atoms_in_like_surroundings(self, potential: Potential, config: Config) -> None:
        """Where some of it is computed once for all of them, as in training, nothing else is."""
        if config.every_second:
            pytest.skip("surroundings depend on the batch")
        places = np.arange(12)[:, None] * [1.4, 0.0, 0.0] + (np.arange(12) % 2)[:, None] * [
            0,
            0.9,
            0,
        ]
        chain = geometry(np.full(12, self.elements[0]), places)
        energy, forces = evaluate(potential, config, chain)
        tables = Tables.build(chain, config.cutoff, dtype=torch.float64)
        found = potential(potential.prepare(tables, again=True).gather(torch.tensor([0])))
        close(found.energy.detach().numpy(), energy, 1e-9)
        close(found.forces.detach().numpy(), forces, 1e-9)

    def test_permutation(self, potential: Potential, config: Config, molecule: Frames) -> None:
        """Atoms have no order."""
        energy, forces = evaluate(potential, config, molecule)
        order = np.random.default_rng(0).permutation(len(molecule.numbers))
        new_energy, new_forces = evaluate(potential, config, permuted(molecule, order))
        close(new_energy, energy)
        close(new_forces, forces[order])

    def test_two_copies_have_twice_the_energy(
        self, potential: Potential, config: Config, molecule: Frames
    ) -> None:
        """Far apart."""
        energy, forces = evaluate(potential, config, molecule)
        both, both_forces = evaluate(potential, config, joined(molecule, molecule, FAR))
        # Positions near 100: as in the test of translation.
        close(both, 2 * energy, 1e-10)
        close(both_forces, np.concatenate([forces, forces]), 1e-9)

    def test_two_molecules_far_apart_have_the_sum_of_their_energies(
        self, potential: Potential, config: Config, molecule: Frames, other: Frames
    ) -> None:
        """And the forces that each has alone."""
        energies, forces = evaluate(potential, config, [molecule, other])
        both, both_forces = evaluate(potential, config, joined(molecule, other, FAR))
        close(both, energies.sum(keepdims=True), 1e-10)
        close(both_forces, forces, 1e-9)

    def test_a_frame_in_a_mixed_batch_equals_itself_alone(
        self, potential: Potential, config: Config, molecule: Frames, other: Frames
    ) -> None:
        """Frames of many sizes in one batch."""
        atom = geometry(np.array([self.elements[0]]), np.zeros((1, 3)))
        frames = [other, molecule, atom, joined(molecule, other, 4.0), other]
        energies, forces = evaluate(potential, config, frames)
        single = [evaluate(potential, config, frame) for frame in frames]
        assert np.ptp(energies) > 0.01 * SCALE
        close(energies, np.concatenate([energy for energy, _ in single]))
        close(forces, np.concatenate([f for _, f in single]))

    def test_an_atom_a_lattice_vector_away(
        self, potential: Potential, config: Config, crystal: Frames
    ) -> None:
        """Which of its images is written down does not matter."""
        expected = evaluate_all(potential, config, crystal)
        assert np.abs(expected.forces).max() > 1e-3 * SCALE
        positions = crystal.positions.copy()
        positions[1] += np.array([1.0, -2.0, 1.0]) @ crystal.cell[0]
        for found, value in zip(
            evaluate_all(potential, config, moved(crystal, positions)), expected, strict=True
        ):
            close(found, value, 1e-9)

    def test_two_cells_are_one_twice(
        self, potential: Potential, config: Config, crystal: Frames
    ) -> None:
        """Twice the energy, the same forces and stress, in a mixed batch, too."""
        frames = [crystal, repeated(crystal)]
        energy, forces, stress = evaluate_all(potential, config, frames)
        close(energy[1:], 2 * energy[:1], 1e-9)
        one, two = np.split(forces, [len(crystal.numbers)])
        close(two, np.tile(one, (2, 1)), 1e-9)
        close(stress[1], stress[0], 1e-9)

    def test_stress_is_the_derivative_by_strain(
        self, potential: Potential, config: Config, crystal: Frames
    ) -> None:
        """Over the volume; see the test of forces."""
        stress = evaluate_all(potential, config, crystal).stress[0]
        derivatives = []
        h = 2e-5
        for step in (h, h / 2):
            strains = step * np.eye(9).reshape(-1, 3, 3)
            frames = [strained(crystal, strain) for strain in (*strains, *-strains)]
            energies, _ = evaluate(potential, config, frames)
            up, down = energies.reshape(2, 3, 3)
            derivatives.append((up - down) / (2 * step * crystal.volume[0]))
        largest = np.abs(stress).max()
        assert largest > 1e-5 * SCALE, "the energy hardly depends on the cell"
        rounding = 2e-14 * max(abs(energies).max(), 1.0) / (h * crystal.volume[0])
        truncation = np.abs(derivatives[0] - derivatives[1])
        assert truncation.max() < 1e-4 * largest + rounding
        assert (np.abs(stress - derivatives[1]) <= truncation + rounding).all()
        close(stress, stress.T, 1e-9)

    def test_a_molecule_in_a_box_of_vacuum(
        self, potential: Potential, config: Config, crystal: Frames, molecule: Frames
    ) -> None:
        """It is alone there, beside a crystal in the same batch, too."""
        energy, forces = evaluate(potential, config, molecule)
        boxed = replace(molecule, cell=np.eye(3)[None] * FAR, pbc=crystal.pbc)
        found = evaluate_all(potential, config, [boxed, molecule, crystal])
        alone = evaluate_all(potential, config, crystal)
        close(found.energy, np.concatenate([energy, energy, alone.energy]), 1e-10)
        close(found.forces, np.concatenate([forces, forces, alone.forces]), 1e-9)
        np.testing.assert_array_equal(found.stress[1], 0.0)  # there is no volume

    def test_the_deployed_form(
        self, potential: Potential, config: Config, molecule: Frames, other: Frames
    ) -> None:
        """What dynamics calls has the same energies and forces, up to the error of its splines."""
        if config.every_second:
            pytest.skip("what a run with every second edge says depends on the rest of a batch")
        frames = [molecule, other, joined(molecule, other, 3.0)]
        energies, forces = evaluate(potential, config, frames)
        found, found_forces = deployed_energies_and_forces(potential, config, frames)
        close(found, energies, 1e-7)
        close(found_forces, forces, 1e-7)

    def test_crossing_the_cutoff(self, potential: Potential, config: Config) -> None:
        """Energy and forces are continuous there, unless the class says that they jump."""
        energy, forces = jump_ratio(potential, config, self.elements)
        if not self.jumps:
            # Up to the next order in the step, 1e-5 of the lengths (0.1 angstrom) of the functions.
            assert energy < 0.105
            assert forces < 0.105

    def test_no_jump_within_the_cutoff(self, potential: Potential, config: Config) -> None:
        """The energy is continuous between there and the shortest bonds."""
        if config.every_second:
            pytest.skip("which edges are left out depends on the batch")
        jump = largest_jump(potential, config, self.elements, 0.7, 0.998 * config.cutoff)
        assert jump < 1e-5, "a share of all that the energy changes by"
