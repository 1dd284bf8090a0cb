"""What every variant must satisfy, whatever its parameters: one class that all of them inherit.

The tests are those that anybody's variants inherit. Here the gate's thresholds are moved to
0.5, ..., 4 angstrom, among the distances of the molecules, so that the weights depend on them.
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
from deepset_bench.testing import SCALE, PotentialTests, close, geometry, joined, jump_ratio
from deepset_bench.training.setup import build_model
from tests import toy


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
        molecule = geometry(np.concatenate([left.numbers, right.numbers]), positions)
        d = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
        n_pairs = int((d[np.triu_indices(n_atoms, k=1)] < cutoff).sum())
        if odd is not None and n_pairs % 2 != odd:
            continue
        if clear_of_kinks(molecule, cutoff, n_experts) and (d > cutoff).any():
            return molecule
    raise AssertionError("no such molecule")


class Physics(PotentialTests):
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

    def test_crossing_the_cutoff(self, potential, config):
        """Continuous where it is promised, and a jump where the documentation says so."""
        energy, forces = jump_ratio(potential, config, self.elements)
        if config.envelope == "message" and config.gnn.kind == "none":
            # Up to the next order in the step, 1e-5 of the lengths (0.1 angstrom) of the functions.
            assert energy == pytest.approx(0.1, abs=0.005)
            assert forces == pytest.approx(0.1, abs=0.005)
        else:
            assert energy == pytest.approx(1.0, abs=0.1)
            assert forces == pytest.approx(1.0, abs=0.1)

    def test_no_jump_within_the_cutoff(self, potential, config):
        """Which experts serve a distance changes at once where only some do."""
        if config.gating.top_k is None:
            super().test_no_jump_within_the_cutoff(potential, config)

    @pytest.mark.parametrize("most_slots", [0.0, 10.0], ids=["compact", "dense"])
    def test_fused_equals_reference(self, config, molecule, other, most_slots, monkeypatch):
        """Energies, forces and the gradient of both by every parameter, in a training step."""
        monkeypatch.setattr("deepset_bench.model.batches.DENSE", most_slots)
        batch_of = [other, molecule, joined(molecule, other, 4.0)]
        self.check_fused_equals_reference(config, batch_of)

    def test_fused_equals_reference_in_a_crystal(self, config, crystal, molecule):
        """And of the stress."""
        self.check_fused_equals_reference(config, [crystal, molecule])

    def check_fused_equals_reference(self, config: Config, frames: Sequence[Frames]) -> None:
        results = [training_step(config, form, frames) for form in ("fused", "reference")]
        (values, gradients), (values_0, gradients_0) = results
        for value, value_0 in zip(values, values_0, strict=True):
            close(value, value_0, 1e-10)
        assert gradients.keys() == gradients_0.keys()
        assert {"embedding.weight", "gate.thresholds", "experts.weight"} <= gradients.keys()
        for name, gradient in gradients_0.items():
            scale = max(np.abs(gradient).max(), 1e-3)
            np.testing.assert_allclose(gradients[name], gradient, rtol=0, atol=1e-10 * scale)


def training_step(
    config: Config, form: str, frames: Sequence[Frames], *, again: bool = False
) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """What is predicted, and the parameters' gradients of a random projection of all of it."""
    potential = make_potential(config, form=form).train()
    tables = potential.prepare(
        Tables.build(
            stack(frames),
            config.cutoff,
            dtype=torch.get_default_dtype(),
            every_second=config.every_second,
        ),
        again=again,
    )
    torch.manual_seed(1)  # dropout
    prediction = potential(tables.gather(torch.arange(len(frames))))
    torch.manual_seed(2)
    everything = prediction.energy, prediction.forces, prediction.stress
    predicted = [t for t in everything if t is not None]
    sum((torch.randn_like(t) * t).sum() for t in predicted).backward()
    return (
        [t.detach().numpy() for t in predicted],
        {
            name: parameter.grad.numpy()
            for name, parameter in potential.model.named_parameters()
            if parameter.grad is not None
        },
    )
