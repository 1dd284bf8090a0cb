"""Published networks: the same physics as the DeepSet's variants, and still PyG's own function."""

from __future__ import annotations

import dataclasses
import multiprocessing
import sys
import warnings
from types import ModuleType

import numpy as np
import pytest
import torch
import torch_geometric.nn.models.schnet as pyg_schnet
import torch_geometric.nn.models.visnet as pyg_visnet

from deepset_bench.config import experiment
from deepset_bench.errors import NotInstalled, UserError
from deepset_bench.model.batches import Tables
from deepset_bench.model.build import build_model
from deepset_bench.model.peers.foreign import imported
from deepset_bench.model.peers.pyg_networks import SchNet, ViSNet
from deepset_bench.model.potential import Potential
from deepset_bench.schema import Config
from deepset_bench.testing import SCALE, jump_ratio, random_crystal, repeated
from tests import toy
from tests.model.physics import Physics, configuration, make_potential, smooth_molecule, stack

CUTOFF = 5.0


def narrow(kind: str):
    config = configuration(f"model={kind}")
    return dataclasses.replace(config, model=dataclasses.replace(config.model, width=16))


def trained(potential: Potential) -> Potential:
    """Other parameters than the first ones, among which many biases are zero."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in potential.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return potential


def check_step_is_finite(potential: Potential, config: Config) -> None:
    """The gradient of a loss by every parameter, beside padding and an isolated atom."""
    frames = stack([smooth_molecule(5, CUTOFF, 10), toy.geometry(np.array([6]), np.zeros((1, 3)))])
    tables = Tables.build(frames, config.cutoff, dtype=torch.float64)
    prediction = potential.train()(tables.gather(torch.arange(2)))
    (prediction.energy.square().sum() + prediction.forces.square().sum()).backward()
    for name, parameter in potential.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("config", ["schnet", "visnet"], indirect=True)
class TestPeer(Physics):
    test_fused_equals_reference = None  # there is one form
    test_fused_equals_reference_in_a_crystal = None

    @pytest.fixture
    def config(self, request):
        return narrow(request.param)

    @pytest.fixture
    def potential(self, config):
        return trained(make_potential(config, move_thresholds=False))

    @pytest.fixture
    def crystal(self, config):
        if config.model.kind == "schnet":
            return random_crystal(self.elements, 4, 1)
        return repeated(repeated(repeated(random_crystal(self.elements, 2, 1), 0), 1), 2)

    def test_crossing_the_cutoff(self, potential, config):
        """ViSNet's vector messages have a bias that no cutoff function multiplies."""
        smooth = pytest.approx((0.1, 0.1), abs=0.005)
        if config.model.kind == "visnet":
            assert jump_ratio(potential, config, self.elements) == pytest.approx(
                (1.0, 1.0), abs=0.1
            )
            with torch.no_grad():
                for layer in potential.model.representation.vis_mp_layers:
                    layer.s_proj.bias.zero_()
        assert jump_ratio(potential, config, self.elements) == smooth

    def test_a_training_step_is_finite_beside_padding_and_isolated_atoms(self, potential, config):
        check_step_is_finite(potential, config)


def test_visnet_refuses_pairs_that_it_would_leave_out():
    """Its masks are for loops, and would take an atom's images for one."""
    config = narrow("visnet")
    potential = make_potential(config, move_thresholds=False)
    tables = Tables.build(random_crystal((6, 1), 4, 1), config.cutoff)
    with pytest.raises(UserError, match="no cell smaller than the cutoff"):
        potential(tables.gather(torch.tensor([0])))


def radius_graph(positions, r, batch, loop=False, max_num_neighbors=32):
    """What PyG's neighbour search returns, which needs a package that is not installed."""
    near = (torch.cdist(positions, positions) < r) & (batch[:, None] == batch)
    if not loop:
        near.fill_diagonal_(False)
    return near.nonzero().T


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kind", ["schnet", "visnet"])
def test_it_is_pygs_own_network(kind, monkeypatch):
    """Energies of two molecules from PyG's whole network with the same parameters."""
    potential = trained(make_potential(narrow(kind), move_thresholds=False))
    frames = stack([smooth_molecule(5, CUTOFF, 10), smooth_molecule(7, CUTOFF, 10)])
    ours = potential(Tables.build(frames, CUTOFF, dtype=torch.float64).gather(torch.arange(2)))

    for module in (pyg_schnet, pyg_visnet):
        monkeypatch.setattr(module, "radius_graph", radius_graph)
    given = (
        torch.tensor(frames.numbers),
        torch.tensor(frames.positions),
        torch.tensor(frames.frame_of_atom),
    )
    if kind == "schnet":
        assert isinstance(potential.model, SchNet)
        theirs = pyg_schnet.SchNet(16, 16, 6, 50, CUTOFF)
        keys = theirs.load_state_dict(potential.model.network.state_dict(), strict=False)
        assert not keys.unexpected_keys
        assert all(".mlp." in key for key in keys.missing_keys)  # the same tensors as conv.nn's
        energies = theirs(*given)
    else:
        assert isinstance(potential.model, ViSNet)
        theirs = pyg_visnet.ViSNet(hidden_channels=16, num_layers=3, num_rbf=32, cutoff=CUTOFF)
        theirs.representation_model.load_state_dict(potential.model.representation.state_dict())
        names = {"vector_norm": "vec1_proj", "vector_out": "vec2_proj", "mlp": "update_net"}
        readout = {}
        for name, value in potential.model.readout.state_dict().items():
            block, layer, rest = name.split(".", 2)
            readout[f"{['first', 'second'].index(block)}.{names[layer]}.{rest}"] = value
        theirs.output_model.output_network.load_state_dict(readout)
        energies, _ = theirs(*given)
    np.testing.assert_allclose(
        ours.energy.detach().numpy(), SCALE * energies.flatten().detach().numpy(), rtol=1e-12
    )


MODULES = {
    "tmd_et": ("torchmdnet.models.torchmd_et", "torchmd_networks"),
    "mace": ("graph_pes.atomic_graph", "graph_pes_networks"),
}


@pytest.mark.parametrize("kind", MODULES)
def test_without_the_extra_it_is_one_line(kind, monkeypatch):
    theirs, ours = MODULES[kind]
    monkeypatch.setitem(sys.modules, theirs, None)
    monkeypatch.delitem(sys.modules, f"deepset_bench.model.peers.{ours}", raising=False)
    with pytest.raises(NotInstalled, match=r"not installed; it comes with: .*peers"):
        build_model(experiment([f"model={kind}"]).config)


def test_what_importing_a_package_changes_is_put_back(tmp_path, monkeypatch):
    (tmp_path / "meddler.py").write_text(
        "import multiprocessing, warnings\n"
        "import hidden_from_meddler as found\n"
        "multiprocessing.set_start_method('spawn', force=True)\n"
        "warnings.simplefilter('error')\n"
        "warnings.warn('of its own')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def settings():
        start = multiprocessing.get_start_method(allow_none=True)
        return start, [*warnings.filters]

    before, stand_in = settings(), ModuleType("hidden_from_meddler")
    with pytest.raises(UserWarning, match="of its own"):
        imported("meddler", {"hidden_from_meddler": stand_in})
    assert settings() == before
    assert "hidden_from_meddler" not in sys.modules
