"""The loss against numpy: units, padding, and the report's smoothing with its gradient."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from deepset_bench.config import experiment
from deepset_bench.model.potential import Prediction
from deepset_bench.training.loss import make_loss
from deepset_bench.training.loss import terms as loss_terms

HARTREE, BOHR = 27.211386, 0.52917721
ENERGY = np.array([0.3, -1.2, 0.7])
FORCES = np.array([[0.1, -0.2, 0.3], [1.0, 0.0, -0.5], [0.0, 0.0, 0.0]])  # the last is padding
N_ATOMS = 2
STD, RMS = 1.7, 0.6


def value(loss, stage: str, scale: float = 1.0) -> tuple[float, np.ndarray, np.ndarray]:
    """Loss and the gradients of its objective by the errors."""
    energy = torch.tensor(ENERGY * scale, requires_grad=True)
    forces = torch.tensor(FORCES * scale, requires_grad=True)
    batch = SimpleNamespace(numbers=torch.tensor([6, 1, 0]))
    target = {
        "energy": torch.zeros(3),
        "forces": torch.zeros(3, 3),
        "energy_unit": loss.energy_unit,
        "forces_unit": loss.forces_unit,
    }
    measured = loss_terms(Prediction(energy, forces, energy), batch, target)
    assert measured[2].item() == pytest.approx(np.abs(scale * ENERGY).mean())
    assert measured[3].item() == pytest.approx(np.abs(scale * FORCES).sum() / (3 * N_ATOMS))
    loss.objective(measured).backward()
    total = loss.value(stage, measured.detach())
    return total.item(), energy.grad.numpy(), forces.grad.numpy()


def terms(energy_unit: float, forces_unit: float, scale: float = 1.0) -> tuple[float, float]:
    energy = np.mean((scale * ENERGY / energy_unit) ** 2)
    return energy, np.sum((scale * FORCES / forces_unit) ** 2) / (3 * N_ATOMS)


@pytest.mark.parametrize(
    ("loss_units", "energy_unit", "forces_unit"),
    [("atomic", HARTREE, HARTREE / BOHR), ("normalised", STD, RMS)],
)
def test_weighted_mean_squares(loss_units, energy_unit, forces_unit):
    weights = ["trainer.energy_weight=0.3", "trainer.forces_weight=0.8"]
    config = experiment([f"trainer.loss_units={loss_units}", *weights]).config
    total, energy_gradient, forces_gradient = value(make_loss(config, STD, RMS), "train")
    energy, forces = terms(energy_unit, forces_unit)
    # ASE's hartree and bohr agree with the digits above to 1e-7.
    assert total == pytest.approx(0.3 * energy + 0.8 * forces, rel=1e-6)
    np.testing.assert_allclose(energy_gradient, 0.3 * 2 * ENERGY / 3 / energy_unit**2, rtol=1e-6)
    np.testing.assert_allclose(
        forces_gradient, 0.8 * 2 * FORCES / (3 * N_ATOMS) / forces_unit**2, rtol=1e-6
    )


def test_energy_errors_per_atom():
    """Each by its molecule's own number of atoms; the mean number leaves the weight as it is."""
    config = experiment(["energy_error=atom", "trainer.energy_weight=1.0"]).config
    loss = make_loss(config, STD, RMS, mean_atoms=3.0)
    numbers = torch.tensor([[6, 1, 1, 1], [6, 6, 0, 0], [6, 1, 1, 0]])
    errors = ENERGY / STD * 3.0 / np.array([4, 2, 3])
    units = loss.energy_units(numbers).numpy()
    np.testing.assert_allclose(ENERGY / units, errors, rtol=1e-6)
    plain = make_loss(experiment([]).config, STD, RMS, mean_atoms=3.0)
    assert plain.energy_units(numbers) is plain.energy_unit


def test_normalised_knowing_nothing_scores_one():
    config = experiment([]).config
    loss = make_loss(config, float(np.sqrt(np.mean(ENERGY**2))), float(np.sqrt(6.95 / 30)))
    unit = np.sqrt(np.sum(FORCES**2) / (3 * N_ATOMS))
    loss.forces_unit = torch.tensor(float(unit))
    assert value(loss, "train")[0] == pytest.approx(0.2 + 0.8)


def test_smoothed_as_in_the_report():
    """0.05 L + 0.95 (last value), a moving average for each stage; the gradient is scaled by 0.05.

    Finding 11.
    """
    config = experiment(["condition=report"]).config
    loss = make_loss(config, STD, RMS)
    plain = make_loss(experiment(["trainer=report"]).config, STD, RMS)
    average: dict[str, float] = {}
    for stage, scale in (("train", 1.0), ("train", 3.0), ("val", 2.0), ("train", 0.5)):
        energy, forces = terms(HARTREE, HARTREE / BOHR, scale)
        average[stage] = 0.05 * energy + 0.95 * average.get(stage, energy)
        total, energy_gradient, forces_gradient = value(loss, stage, scale)
        assert total == pytest.approx(0.2 * average[stage] + 0.8 * forces, rel=1e-6)
        _, plain_energy_gradient, plain_forces_gradient = value(plain, stage, scale)
        np.testing.assert_allclose(energy_gradient, 0.05 * plain_energy_gradient, rtol=1e-12)
        np.testing.assert_array_equal(forces_gradient, plain_forces_gradient)


def test_the_plain_loss_remembers_nothing():
    loss = make_loss(experiment([]).config, STD, RMS)
    first = value(loss, "train")[0]
    value(loss, "train", 10.0)
    assert value(loss, "train")[0] == first
    assert loss.averages == {}
