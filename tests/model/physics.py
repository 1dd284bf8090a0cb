"""What every variant must satisfy, whatever its parameters: one class that all of them inherit.

Everything runs in float64 and in eval mode on untrained parameters. The gate's thresholds are moved
to 0.5, ..., 4 angstrom, among the distances of the molecules, so that the weights depend on them.
Bounds are relative to the largest energy or force at hand. `ROUNDING` is for quantities that are
equal in exact arithmetic: sums of some hundred terms (pairs, features), each right to
2e-16, that cancel by three digits at most.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
import torch

from deepset_bench.config import experiment
from deepset_bench.model.batches import Tables
from deepset_bench.model.potential import Potential
from deepset_bench.molecules.frames import Frames
from deepset_bench.schema import Config
from deepset_bench.training.setup import build_model
from tests import toy

ROUNDING = 1e-11
FAR = 100.0  # angstrom
SCALE = 0.7  # eV


@cache
def configuration(*overrides: str) -> Config:
    """A configuration of small width; the equations are the same at any width."""
    config = copy.deepcopy(experiment(overrides).config)
    config.width = config.rbf.size = 16
    return config


def make_potential(
    config: Config, *, form: str = "fused", move_thresholds: bool = True, seed: int = 0
) -> Potential:
    """An untrained potential for C and H in eval mode, in torch's default type."""
    torch.manual_seed(seed)
    model = build_model(config)
    if move_thresholds:
        with torch.no_grad():
            n = config.gating.experts
            model.gate.thresholds.copy_(thresholds(n))
    return Potential(model, torch.tensor([1, 6]), SCALE, form=form).eval()


def thresholds(n_experts: int) -> torch.Tensor:
    """Where the gates' cusps are put, in angstrom."""
    return torch.linspace(0.5, 4.0, n_experts)


def stack(frames: Sequence[Frames] | Frames) -> Frames:
    """One set of several, or the set itself."""
    return frames if isinstance(frames, Frames) else Frames.concatenate(frames)


def evaluate(
    potential: Potential, config: Config, frames: Sequence[Frames] | Frames, *, alone: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """(M,) energies and (A, 3) forces without padding; in one batch, or each frame `alone`."""
    frames = stack(frames)
    tables = potential.prepare(
        Tables.build(
            frames,
            config.cutoff,
            dtype=torch.get_default_dtype(),
            every_second=config.every_second,
        )
    )
    energies, forces = [], []
    for rows in torch.arange(len(frames)).split(1 if alone else len(frames)):
        batch = tables.gather(rows)
        prediction = potential(batch)
        energies.append(prediction.energy.detach())
        forces.append(prediction.forces.detach()[batch.numbers > 0])
    return torch.cat(energies).numpy(), torch.cat(forces).numpy()


def clear_of_kinks(frames: Frames, cutoff: float, n_experts: int) -> bool:
    """Whether no distance is within 0.01 angstrom of the cutoff or of a kink of the gate.

    The gate has a cusp at each threshold; top-k weights jump where two thresholds are equally far,
    which for equally spaced ones is at the thresholds and half way between them.
    """
    d = np.linalg.norm(frames.positions[:, None] - frames.positions[None], axis=-1)
    d = d[np.triu_indices(len(d), k=1)]
    t = thresholds(n_experts).numpy()
    kinks = np.concatenate([t, (t[1:] + t[:-1]) / 2, [cutoff]])
    return bool(np.abs(d[:, None] - kinks).min() > 0.01)


@cache
def smooth_molecule(
    n_atoms: int, cutoff: float, n_experts: int, *, odd: bool | None = None
) -> Frames:
    """A random molecule clear of kinks, with pairs on both sides of the cutoff.

    Two halves 4.5 angstrom apart: no half has more than about ten pairs near the thresholds.
    With `odd`, the number of pairs within the cutoff is odd (True) or even (False).
    """
    for seed in range(10_000):
        left = toy.random_molecule(n_atoms // 2, 2 * seed, box=2.0)
        right = toy.random_molecule(n_atoms - n_atoms // 2, 2 * seed + 1, box=2.0)
        positions = np.concatenate([left.positions, right.positions + np.array([4.5, 0.0, 0.0])])
        molecule = toy.geometry(np.concatenate([left.numbers, right.numbers]), positions)
        d = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
        n_pairs = int((d[np.triu_indices(n_atoms, k=1)] < cutoff).sum())
        if odd is not None and n_pairs % 2 != odd:
            continue
        if clear_of_kinks(molecule, cutoff, n_experts) and (d > cutoff).any():
            return molecule
    raise AssertionError("no such molecule")


def moved(frames: Frames, positions: np.ndarray) -> Frames:
    """The same atoms elsewhere."""
    return toy.geometry(frames.numbers, positions)


def joined(a: Frames, b: Frames, shift: float) -> Frames:
    """One frame of two, the second moved along x."""
    return toy.geometry(
        np.concatenate([a.numbers, b.numbers]),
        np.concatenate([a.positions, b.positions + np.array([shift, 0.0, 0.0])]),
    )


def orthogonal(seed: int, determinant: int) -> np.ndarray:
    """A random rotation (determinant 1) or rotation and reflection (-1)."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q[:, 0] *= determinant * np.linalg.det(q)
    return q


def close(found: np.ndarray, expected: np.ndarray, relative: float = ROUNDING) -> None:
    """Equal up to `relative` times the largest expected number."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=relative * np.abs(expected).max())


def crossing(cutoff: float, beyond: float) -> Frames:
    """Three atoms; the first and the last are `beyond` angstrom further apart than the cutoff.

    The last atom stays within the cutoff of the second, so that it never stands alone.
    """
    positions = np.array([[0.0, 0.0, 0.0], [0.6, 0.9, 0.0], [cutoff + beyond, 0.0, 0.0]])
    return toy.geometry(np.array([6, 1, 1]), positions)


def jump_ratio(potential: Potential, config: Config, step: float = 1e-5) -> tuple[float, float]:
    """How the change of energy and of forces across the cutoff shrinks when the step does.

    The change between `step` inside and `step` outside is jump + O(step). A tenth of the step
    leaves a tenth of it where there is no jump and all of it where there is one.
    """
    sizes = []
    for h in (step, step / 10):
        energy, forces = evaluate(
            potential, config, [crossing(config.cutoff, -h), crossing(config.cutoff, h)], alone=True
        )
        inside, outside = forces.reshape(2, -1)
        sizes.append((abs(energy[1] - energy[0]), np.abs(outside - inside).max()))
        # Far above rounding, so that the ratio means something.
        assert min(sizes[-1]) > 1e3 * np.finfo(float).eps * max(np.abs(energy).max(), 1.0)
    return sizes[1][0] / sizes[0][0], sizes[1][1] / sizes[0][1]


@pytest.mark.usefixtures("float64")
class Physics:
    """Tests of one variant; a subclass is parametrised with the overrides in `config`."""

    @pytest.fixture
    def config(self, request) -> Config:
        return configuration(*request.param)

    @pytest.fixture
    def potential(self, config: Config) -> Potential:
        return make_potential(config)

    @pytest.fixture
    def molecule(self, config: Config) -> Frames:
        return smooth_molecule(7, config.cutoff, config.gating.experts)

    @pytest.fixture
    def other(self, config: Config) -> Frames:
        return smooth_molecule(5, config.cutoff, config.gating.experts)

    def test_forces_are_minus_the_gradient(self, potential, config, molecule):
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
        assert largest > 1e-3 * SCALE
        # Two energies, each a sum of terms of about its own size, right to some 1e-15 relative.
        rounding = 2e-14 * max(abs(energy[0]), 1.0) / h
        truncation = np.abs(gradients[0] - gradients[1])
        assert truncation.max() < 1e-4 * largest + rounding
        assert (np.abs(forces + gradients[1]) <= truncation + rounding).all()

    def test_translation(self, potential, config, molecule):
        energy, forces = evaluate(potential, config, molecule)
        away = moved(molecule, molecule.positions + np.array([10.0, -20.0, 30.0]))
        new_energy, new_forces = evaluate(potential, config, away)
        # Positions near 30 carry 4e-15 angstrom of rounding into a difference near 1; the gate
        # near a threshold (logit 1 / 0.01) multiplies it by 1e4.
        close(new_energy, energy, 1e-10)
        close(new_forces, forces, 1e-9)

    @pytest.mark.parametrize("determinant", [1, -1], ids=["rotation", "reflection"])
    def test_rotation(self, potential, config, molecule, determinant):
        energy, forces = evaluate(potential, config, molecule)
        Q = orthogonal(3, determinant)
        new_energy, new_forces = evaluate(
            potential, config, moved(molecule, molecule.positions @ Q)
        )
        close(new_energy, energy, 1e-10)
        close(new_forces, forces @ Q, 1e-9)

    def test_net_force_and_torque_are_zero(self, potential, config, molecule):
        _, forces = evaluate(potential, config, molecule)
        largest = np.abs(forces).max()
        assert np.abs(forces.sum(0)).max() < ROUNDING * largest
        torque = np.cross(molecule.positions, forces).sum(0)
        assert np.abs(torque).max() < ROUNDING * largest * np.abs(molecule.positions).max()

    def test_atomic_energies_sum_to_the_energy(self, potential, config, molecule, other):
        frames = stack([molecule, other])
        tables = potential.prepare(Tables.build(frames, config.cutoff, dtype=torch.float64))
        prediction = potential(tables.gather(torch.tensor([0, 1])))
        atomic = prediction.atomic_energies.detach().view(2, 7).numpy()
        assert (np.abs(atomic[1, :5]) > 0).all()
        np.testing.assert_array_equal(atomic[1, 5:], 0.0)  # padding
        close(atomic.sum(1), prediction.energy.detach().numpy())

    def test_an_isolated_atom(self, potential, config):
        for number in (1, 6):
            atom = toy.geometry(np.array([number]), np.zeros((1, 3)))
            energy, forces = evaluate(potential, config, atom)
            assert np.isfinite(energy).all()
            np.testing.assert_array_equal(forces, 0.0)

    def test_a_separated_pair_is_two_atoms(self, potential, config):
        atoms = [toy.geometry(np.array([z]), np.zeros((1, 3))) for z in (1, 6)]
        alone, _ = evaluate(potential, config, atoms)
        for distance in (config.cutoff + 1e-6, FAR, 1e6):
            energy, forces = evaluate(potential, config, joined(*atoms, distance))
            close(energy, alone.sum(keepdims=True))
            np.testing.assert_array_equal(forces, 0.0)

    def test_permutation(self, potential, config, molecule):
        energy, forces = evaluate(potential, config, molecule)
        order = np.random.default_rng(0).permutation(len(molecule.numbers))
        new_energy, new_forces = evaluate(potential, config, permuted(molecule, order))
        close(new_energy, energy)
        close(new_forces, forces[order])

    def test_two_copies_have_twice_the_energy(self, potential, config, molecule):
        energy, forces = evaluate(potential, config, molecule)
        both, both_forces = evaluate(potential, config, joined(molecule, molecule, FAR))
        # Positions near 100: as in the test of translation.
        close(both, 2 * energy, 1e-10)
        close(both_forces, np.concatenate([forces, forces]), 1e-9)

    def test_two_molecules_far_apart_have_the_sum_of_their_energies(
        self, potential, config, molecule, other
    ):
        energies, forces = evaluate(potential, config, [molecule, other])
        both, both_forces = evaluate(potential, config, joined(molecule, other, FAR))
        close(both, energies.sum(keepdims=True), 1e-10)
        close(both_forces, forces, 1e-9)

    def test_a_frame_in_a_mixed_batch_equals_itself_alone(self, potential, config, molecule, other):
        atom = toy.geometry(np.array([6]), np.zeros((1, 3)))
        frames = [other, molecule, atom, joined(molecule, other, 4.0), other]
        energies, forces = evaluate(potential, config, frames)
        single = [evaluate(potential, config, frame) for frame in frames]
        assert np.ptp(energies) > 0.01 * SCALE
        close(energies, np.concatenate([energy for energy, _ in single]))
        close(forces, np.concatenate([f for _, f in single]))

    def test_crossing_the_cutoff(self, potential, config):
        """Continuous where it is promised, and a jump where the documentation says so."""
        energy, forces = jump_ratio(potential, config)
        if config.envelope == "message" and config.gnn.kind == "none":
            # Up to the next order in the step, 1e-5 of the lengths (0.1 angstrom) of the functions.
            assert energy == pytest.approx(0.1, abs=0.005)
            assert forces == pytest.approx(0.1, abs=0.005)
        else:
            assert energy == pytest.approx(1.0, abs=0.1)
            assert forces == pytest.approx(1.0, abs=0.1)

    @pytest.mark.parametrize("most_slots", [0.0, 10.0], ids=["compact", "dense"])
    def test_fused_equals_reference(self, config, molecule, other, most_slots, monkeypatch):
        """Energies, forces and the gradient of both by every parameter, in a training step."""
        monkeypatch.setattr("deepset_bench.model.batches.DENSE", most_slots)
        batch_of = [other, molecule, joined(molecule, other, 4.0)]
        results = [training_step(config, form, batch_of) for form in ("fused", "reference")]
        (energy, forces, gradients), (energy_0, forces_0, gradients_0) = results
        close(energy, energy_0, 1e-10)
        close(forces, forces_0, 1e-10)
        assert gradients.keys() == gradients_0.keys()
        assert {"embedding.weight", "gate.thresholds", "experts.weight"} <= gradients.keys()
        for name, gradient in gradients_0.items():
            scale = max(np.abs(gradient).max(), 1e-3)
            np.testing.assert_allclose(gradients[name], gradient, rtol=0, atol=1e-10 * scale)


def permuted(frames: Frames, order: np.ndarray) -> Frames:
    """The same molecule with its atoms in another order."""
    return toy.geometry(frames.numbers[order], frames.positions[order])


def training_step(
    config: Config, form: str, frames: Sequence[Frames]
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Energies, forces and the parameters' gradients of a random projection of both."""
    potential = make_potential(config, form=form).train()
    tables = potential.prepare(
        Tables.build(
            stack(frames),
            config.cutoff,
            dtype=torch.get_default_dtype(),
            every_second=config.every_second,
        )
    )
    torch.manual_seed(1)  # dropout
    prediction = potential(tables.gather(torch.arange(len(frames))))
    torch.manual_seed(2)
    weights = torch.randn_like(prediction.energy), torch.randn_like(prediction.forces)
    projection = (weights[0] * prediction.energy).sum() + (weights[1] * prediction.forces).sum()
    projection.backward()
    return (
        prediction.energy.detach().numpy(),
        prediction.forces.detach().numpy(),
        {
            name: parameter.grad.numpy()
            for name, parameter in potential.model.named_parameters()
            if parameter.grad is not None
        },
    )
