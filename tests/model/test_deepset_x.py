"""DeepSet X: the shared physics, and its energies and forces pair by pair."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from deepset_bench.model.batches import Tables
from deepset_bench.model.build import build_model
from deepset_bench.model.deepset_x.network import DeepSetX
from deepset_bench.model.deepset_x.sphere import harmonics, size
from deepset_bench.model.potential import Potential
from deepset_bench.model.radial import quintic_cutoff
from deepset_bench.testing import SCALE, close, joined
from tests import toy
from tests.model.physics import Physics, configuration, make_potential, smooth_molecule, stack

CUTOFF = 5.0


KINDS = ("deepset_x", "deepset_x_2")


def narrow(kind: str = "deepset_x"):
    config = configuration(f"model={kind}")
    sizes = dataclasses.replace(config.model, width=8, basis_size=12)
    return dataclasses.replace(config, model=sizes)


def with_pairs(potential: Potential) -> Potential:
    """With a pair potential of some size, as training begins with."""
    pairs = potential.model.pairs.view(2, 2, -1)
    pairs.copy_(torch.randn_like(pairs[0, 0]) * torch.tensor([[0.1, 0.2], [0.2, 0.3]])[..., None])
    return potential


class TestDeepSetX(Physics):
    test_fused_equals_reference = None  # there is one form
    test_fused_equals_reference_in_a_crystal = None

    @pytest.fixture(params=KINDS)
    def config(self, request):
        return narrow(request.param)

    @pytest.fixture
    def potential(self, config):
        return with_pairs(make_potential(config, move_thresholds=False))

    def test_crossing_the_cutoff(self, potential, config):
        assert config.envelope == "message"  # what the shared test takes for smooth
        super().test_crossing_the_cutoff(potential, config)


def pair_by_pair(potential: Potential, frame) -> tuple[torch.Tensor, torch.Tensor]:
    """Energy and forces of one frame from its positions, with autograd all the way."""
    r = torch.tensor(frame.positions, requires_grad=True)
    numbers, species = torch.tensor(frame.numbers), potential.species
    model = potential.model
    pairs = [(i, j) for i in range(len(r)) for j in range(len(r)) if i != j]
    near = {}
    for i, j in pairs:
        d = (r[i] - r[j]).norm()
        if d < CUTOFF:
            near[i, j] = harmonics((r[i] - r[j]) / d, model.degree), model.basis(d)
    rows = [torch.zeros(size(model.degree), len(species), len(model.centres)) for _ in r]
    for (i, j), (Y, phi) in near.items():
        z = (numbers[j] == species).double()
        rows[i] = rows[i] + Y[:, None, None] * z[:, None] * phi

    def sum_over(h: torch.Tensor) -> torch.Tensor:
        sums = [torch.zeros(size(model.degree), model.width) for _ in r]
        for (i, j), (Y, phi) in near.items():
            filters = (phi @ model.filters).view(-1, model.width)
            of_m = torch.cat([filters[[n]].expand(2 * n + 1, -1) for n in range(len(filters))])
            sums[i] = sums[i] + Y[:, None] * of_m * h[j]
        return torch.stack(sums, dim=1)

    A = torch.stack([row.flatten(1) for row in rows], dim=1)
    energy = SCALE * model(A, numbers, species, sum_over).sum()
    (gradient,) = torch.autograd.grad(energy, r, create_graph=True)
    return energy, -gradient


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("most_slots", [0.0, 10.0], ids=["compact", "dense"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_its_equations_say(kind, most_slots, monkeypatch):
    """Energies, forces and the gradient of both by every parameter, in a training step."""
    monkeypatch.setattr("deepset_bench.model.batches.DENSE", most_slots)
    config = narrow(kind)
    potential = with_pairs(make_potential(config, move_thresholds=False)).train()
    molecule, other = smooth_molecule(7, CUTOFF, 10), smooth_molecule(5, CUTOFF, 10)
    frames = [other, molecule, joined(molecule, other, 4.0)]
    tables = Tables.build(stack(frames), CUTOFF, dtype=torch.float64)
    batch = potential.prepare(tables).gather(torch.arange(3))
    prediction = potential(batch)
    results = [(prediction.energy, prediction.forces[batch.numbers > 0])]
    energies, forces = zip(*(pair_by_pair(potential, frame) for frame in frames), strict=True)
    results.append((torch.stack(energies), torch.cat(forces)))
    gradients = []
    for energy, force in results:
        torch.manual_seed(2)
        projection = (torch.randn_like(energy) * energy).sum()
        projection = projection + (torch.randn_like(force) * force).sum()
        gradients.append(torch.autograd.grad(projection, list(potential.parameters())))
    for found, expected in zip(*results, strict=True):
        close(found.detach().numpy(), expected.detach().numpy(), 1e-10)
    for (name, _), found, expected in zip(potential.named_parameters(), *gradients, strict=True):
        bound = 1e-10 * max(expected.abs().max().item(), 1e-3)
        np.testing.assert_allclose(found, expected, rtol=0, atol=bound, err_msg=name)


def test_a_training_step_is_finite_beside_padding_and_isolated_atoms():
    atom = toy.geometry(np.array([6]), np.zeros((1, 3)))
    potential = make_potential(narrow(), move_thresholds=False).train()
    tables = Tables.build(stack([smooth_molecule(5, CUTOFF, 10), atom]), CUTOFF)
    prediction = potential(potential.prepare(tables).gather(torch.arange(2)))
    (prediction.energy.square().sum() + prediction.forces.square().sum()).backward()
    for name, parameter in potential.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_more_species_take_no_more_parameters():
    """Their vectors are there for every element; untrained ones differ from each other."""
    torch.manual_seed(0)
    potential = Potential(build_model(narrow()), torch.tensor([1, 6, 7, 8]), SCALE).eval()
    corners = np.diag([0.6, 0.9, 1.4])  # no two atoms have the same surroundings
    shapes = [toy.geometry(np.array(z), corners) for z in ([6, 1, 8], [6, 1, 7], [7, 1, 6])]
    tables = Tables.build(stack(shapes), CUTOFF)
    energies = potential(potential.prepare(tables).gather(torch.arange(3))).energy
    assert energies.sort().values.diff().min() > 1e-3 * SCALE


def test_evenly_spaced_functions_are_as_wide_as_the_cutoff_says_unrounded():
    """4.1 is no float32; rounded first, earlier runs would go on with other functions."""
    model = DeepSetX(width=8, layers=1, basis_size=12, cutoff=4.1)
    assert model.spacing == (4.1 - float(model.centres[0])) / 11


def test_functions_of_an_exponential_lie_closer_at_short_distances():
    """The basis as the module's docstring has it."""
    model = build_model(narrow("deepset_x_2"))
    d = torch.linspace(0.5, model.cutoff - 1e-3, 4000, dtype=torch.float64)
    x, ends = torch.exp(-0.5 * d), torch.exp(-0.5 * torch.tensor([0.9, model.cutoff]).double())
    centres = torch.linspace(*ends.tolist(), 12, dtype=torch.float64)
    width = (ends[0] - ends[1]) / 11
    expected = torch.exp(-((x[:, None] - centres) ** 2) / (2 * width**2))
    expected = expected * quintic_cutoff(d, model.cutoff)[:, None]
    np.testing.assert_allclose(model.basis(d).numpy(), expected.numpy(), rtol=0, atol=1e-5)
    peaks = -2 * torch.log(centres)
    assert (peaks.diff().diff() > 0).all()
