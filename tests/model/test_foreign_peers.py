"""Networks of torchmd-net and graph-pes: the same physics, and still their packages' functions."""

from __future__ import annotations

import copy
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from ase import Atoms

from deepset_bench.config import experiment
from deepset_bench.model.build import build_model
from deepset_bench.model.potential import Potential
from deepset_bench.molecules.frames import Frames
from deepset_bench.schema import Config
from deepset_bench.testing import (
    SCALE,
    PotentialTests,
    close,
    evaluate,
    moved,
    orthogonal,
    random_crystal,
    repeated,
)
from tests.model.physics import make_potential, smooth_molecule
from tests.model.test_peers import check_step_is_finite, trained

TORCHMD, GRAPH_PES = ("tmd_et", "tmd_tensornet"), ("painn", "tensornet", "nequip", "mace")
KINDS = (*TORCHMD, *GRAPH_PES)
CUTOFF = 5.0


installed = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("torchmdnet", "graph_pes", "e3nn")),
    reason="the extra `peers` is not installed",
)
pytestmark = installed


def narrow(kind: str) -> Config:
    """A small one of a kind, whose equations are those of any size."""
    config = copy.deepcopy(experiment([f"model={kind}_small"]).config)
    return replace(config, model=replace(config.model, width=8, layers=2, basis_size=6))


@pytest.mark.parametrize("kind", KINDS)
class TestForeignPeer(PotentialTests):
    @pytest.fixture
    def config(self, kind):
        return narrow(kind)

    @pytest.fixture
    def potential(self, config):
        return trained(make_potential(config, move_thresholds=False))

    @pytest.fixture
    def molecule(self, config):
        return smooth_molecule(7, config.cutoff, 10)

    @pytest.fixture
    def other(self, config):
        return smooth_molecule(5, config.cutoff, 10)

    @pytest.fixture
    def crystal(self, config):
        if config.model.kind in TORCHMD:  # which take an atom's own image for itself
            return repeated(repeated(repeated(random_crystal(self.elements, 2, 1), 0), 1), 2)
        return random_crystal(self.elements, 4, 1)

    def test_a_training_step_is_finite_beside_padding_and_isolated_atoms(self, potential, config):
        check_step_is_finite(potential, config)

    @pytest.mark.parametrize("determinant", [1, -1], ids=["rotation", "reflection"])
    def test_rotation(self, kind, potential, config, molecule, determinant):
        if kind != "mace":
            super().test_rotation(potential, config, molecule, determinant)
            return
        check_turns_to_single_precision(potential, config, molecule, determinant)

    def test_net_force_and_torque_are_zero(self, kind, potential, config, molecule):
        if kind == "mace":
            pytest.skip("its coefficients are those of single precision; see the test of rotation")
        super().test_net_force_and_torque_are_zero(potential, config, molecule)


def check_turns_to_single_precision(potential, config, molecule, determinant):
    """graph-pes has MACE's coefficients of coupling in a file of float32, so in float64, too."""
    energy, forces = evaluate(potential, config, molecule)
    Q = orthogonal(3, determinant)
    turned, turned_forces = evaluate(potential, config, moved(molecule, molecule.positions @ Q))
    close(turned, energy, 1e-7)
    close(turned_forces, forces @ Q, 1e-6)


PAGE = Path(__file__).parents[2] / "docs" / "model.md"


def documented() -> dict[str, str]:
    """Options of `model` on the page that lists them, and the parameters that it says they have."""
    rows = [
        line.split("|")
        for line in PAGE.read_text().splitlines()
        if line.startswith("| `") and "=" not in line
    ]
    return {row[1].strip(" `"): row[5].strip() for row in rows if len(row) == 7}


def test_every_size_is_documented():
    assert {f"{kind}{size}" for kind in KINDS for size in ("", "_small")} <= set(documented())


@pytest.mark.parametrize("option", [*documented()])
def test_the_page_says_how_many_parameters_there_are(option):
    network = build_model(experiment([f"model={option}"]).config)
    assert documented()[option] == f"{sum(p.numel() for p in network.parameters()):,}"


class Brute(torch.nn.Module):
    """In the place of torchmd-net's search for neighbours, whose kernels would be compiled here."""

    def forward(self, positions, batch, box=None):
        """What it returns: rows [i, j], loops among them, distances, r_i - r_j."""
        i, j = (torch.cdist(positions, positions) < CUTOFF).nonzero(as_tuple=True)
        vectors = positions[i] - positions[j]
        return torch.stack([i, j]), vectors.norm(dim=-1), vectors


def of_torchmd(potential: Potential, frames: Frames) -> float:
    """What torchmd-net's whole network says, with its own readout."""
    from torchmdnet.models.model import TorchMD_Net
    from torchmdnet.models.output_modules import EquivariantScalar, Scalar

    ours = copy.deepcopy(potential.model)
    equivariant = "attention_layers" in dict(ours.representation.named_children())
    output = EquivariantScalar(8) if equivariant else Scalar(8)
    whole = TorchMD_Net(ours.representation, output)  # which draws all parameters anew
    whole.representation_model.load_state_dict(potential.model.representation.state_dict())
    whole.representation_model.distance = Brute()
    readout = potential.model.readout.state_dict()
    if equivariant:
        names = {"vector_norm": "vec1_proj", "vector_out": "vec2_proj", "mlp": "update_net.layers"}
        parts = {name: name.split(".", 2) for name in readout}
        readout = {
            f"output_network.{['first', 'second'].index(block)}.{names[layer]}.{rest}": value
            for (block, layer, rest), value in zip(parts.values(), readout.values(), strict=True)
        }
    whole.output_model.load_state_dict(readout)
    energy, _ = whole(torch.tensor(frames.numbers), torch.tensor(frames.positions).float())
    return float(energy.detach())


def of_graph_pes(potential: Potential, frames: Frames) -> float:
    """What graph-pes's own class says, with e3nn's TorchScript and its own one-hot elements."""
    from graph_pes import AtomicGraph, models

    made = potential.model.network
    sizes = {"channels": 8, "layers": 2, "cutoff": CUTOFF}
    features = {"channels": 8, "l_max": 2, "use_odd_parity": True}
    hidden = {"hidden_irreps": ["0e"], "n_radial": 6, "l_max": 3, "correlation": 3}
    make = {
        "_PaiNN": lambda: models.PaiNN(radial_features=6, **sizes),
        "_TensorNet": lambda: models.TensorNet(radial_features=6, **sizes),
        "_NequIP": lambda: models.NequIP(
            ["H", "C"], cutoff=CUTOFF, layers=2, features=features, radial_features=6
        ),
        "_MACE": lambda: models.MACE(["H", "C"], **sizes, **hidden),
    }
    theirs = make[type(made).__name__]()
    missing, unexpected = theirs.load_state_dict(made.state_dict(), strict=False)
    assert not unexpected
    assert all(name.endswith(("Z_to_idx", "_extra_state")) for name in missing)
    atoms = Atoms(frames.numbers, frames.positions)
    return float(theirs.predict_energy(AtomicGraph.from_ase(atoms, cutoff=CUTOFF)).detach())


@pytest.mark.filterwarnings("ignore:The TorchScript type system")
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_theirs(kind):
    """Energies of their whole network, which finds the neighbours itself, with our parameters."""
    config = narrow(kind)
    potential = trained(make_potential(config, move_thresholds=False))
    frames = smooth_molecule(7, CUTOFF, 10)
    ours, _ = evaluate(potential, config, frames)
    theirs = of_torchmd if kind in TORCHMD else of_graph_pes
    assert ours[0] == pytest.approx(SCALE * theirs(potential, frames), rel=1e-5)
