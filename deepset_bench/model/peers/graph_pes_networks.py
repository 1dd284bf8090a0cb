"""PaiNN, TensorNet, NequIP and MACE as graph-pes 1.0 has them, as atomic energies.

What it does not get along with is mended here, in what it makes:

* it puts a mapping into checkpoints, of its version and nothing else, which is left out;
* e3nn makes TorchScript of its products, whose tensors `functional_call` cannot replace; they stay
  Python, which can be differentiated, traced and copied;
* its tables of coefficients are of the precision that torch has when they are made, and a network
  of float32 that is asked in float64 would turn with the molecule no better than float32 does: they
  are made in float64, kept, and rounded to what the network is;
* its one-hot vectors of elements are float32 and know no padding; ours are neither.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from ase.data import chemical_symbols
from torch import Tensor, nn

from deepset_bench.model.peers.foreign import imported, ordinary
from deepset_bench.variants import model

if TYPE_CHECKING:
    from deepset_bench.model.labelled import Labelled
    from deepset_bench.model.potential import Potential

_graphs = imported("graph_pes.atomic_graph")
_models = imported("graph_pes.models")
_nn = imported("graph_pes.utils.nn")
_aggregation = imported("graph_pes.models.components.aggregation")
_e3nn = imported("e3nn")
_harmonics = imported("e3nn.o3._spherical_harmonics")

logging.getLogger("graph-pes").setLevel(logging.WARNING)  # it prints
# TorchScript rounds its first calls and later ones in two ways: a run that goes on would differ.
_scripted = _harmonics._spherical_harmonics
_harmonics._spherical_harmonics = getattr(_scripted, "_torchdynamo_inline", _scripted)

_HYDROCARBONS = (1, 6)


class OfGraphs(nn.Module):
    """A network of graph-pes.

    Args:
        make: makes it.
        cutoff: in angstrom.
    """

    def __init__(self, make: Callable[[], nn.Module], cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        self._give(make)

    def _give(self, make: Callable[[], nn.Module]) -> None:
        dtype = torch.get_default_dtype()
        with _in_float64(), _as_python():
            made = make()
        self._exact = {n: b.clone() for n, b in made.named_buffers() if b.is_floating_point()}
        for module in made.modules():
            if hasattr(module, "__codegen__"):  # what it would make TorchScript of to copy it
                vars(module)["__codegen__"] = []
        self.network = ordinary(made).to(dtype)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> OfGraphs:
        """Other precision, other device: the tables are rounded anew."""
        super()._apply(fn, recurse)
        for name, buffer in self.network.named_buffers():
            if name in self._exact:
                buffer.copy_(self._exact[name])
        return self

    def forward(self, numbers: Tensor, vectors: Tensor, edge_index: Tensor) -> Tensor:
        """(N,) dimensionless atomic energies; see `DeepSet.forward`."""
        N = numbers.shape[0]
        if not edge_index.shape[1]:  # a pair of atoms that are not there: it takes no empty list
            numbers = torch.cat([numbers, numbers[:1], numbers[:1]])
            pair = edge_index.new_tensor([[N, N + 1], [N + 1, N]])
            edge_index = torch.cat([edge_index, pair], dim=1)
            vectors = torch.cat([vectors, vectors.new_full((2, 3), self.cutoff)])
        graph = _graphs.AtomicGraph(
            Z=numbers,
            # What it takes for shifts by whole cells are the vectors.
            R=vectors.new_zeros(numbers.shape[0], 3),
            cell=torch.eye(3, dtype=vectors.dtype, device=vectors.device),
            neighbour_list=edge_index.flip(0),
            neighbour_cell_offsets=-vectors,
            properties={},
            cutoff=self.cutoff,
            other={},
        )
        energies: Tensor = self.network(graph)["local_energies"]
        return energies.reshape(-1)[:N]


class OfElements(OfGraphs):
    """One whose parameters are those of certain elements.

    They are hydrogen and carbon until `know` says which they are.

    Args:
        make: makes it of the `elements`, as symbols.
        cutoff: in angstrom.
    """

    def __init__(self, make: Callable[..., nn.Module], cutoff: float) -> None:
        self.make, self.elements = make, _HYDROCARBONS
        super().__init__(self._made, cutoff)

    def _made(self) -> nn.Module:
        network = self.make(elements=[chemical_symbols[z] for z in self.elements])
        for module in list(network.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, _nn.AtomicOneHot):
                    setattr(module, name, OneHot(self.elements))
        return network

    def know(self, species: Tensor) -> None:
        """Make it anew for (s,) species, if they are others."""
        if tuple(species.tolist()) != self.elements:
            self.elements = tuple(species.tolist())
            self._give(self._made)


class OneHot(nn.Module):
    """Which of some elements an atom is; padding is none.

    Args:
        elements: their atomic numbers.
    """

    elements: Tensor
    one: Tensor

    def __init__(self, elements: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("elements", torch.tensor(elements), persistent=False)
        self.register_buffer("one", torch.ones(()), persistent=False)

    def forward(self, numbers: Tensor) -> Tensor:
        """(N,) -> (N, s), of the precision of the network."""
        return (numbers[:, None] == self.elements).to(self.one.dtype)


@contextmanager
def _in_float64() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _as_python() -> Iterator[None]:
    before = _e3nn.get_optimization_defaults()
    _e3nn.set_optimization_defaults(jit_script_fx=False)
    try:
        yield
    finally:
        _e3nn.set_optimization_defaults(**before)


def _without_extra_state(name: str) -> Any:
    """A class of graph-pes whose checkpoints hold tensors alone."""
    usual = {key: getattr(nn.Module, key) for key in ("get_extra_state", "set_extra_state")}
    return type(f"_{name}", (getattr(_models, name),), {**usual, "__module__": __name__})


# By the names that they are pickled by.
_PaiNN, _TensorNet = _without_extra_state("PaiNN"), _without_extra_state("TensorNet")
_NequIP, _MACE = _without_extra_state("NequIP"), _without_extra_state("MACE")


@model("painn", packages=("graph-pes",))
class PaiNN(OfGraphs):
    """Scalars and vectors that pass each other on (Schütt et al. 2021, arXiv 2102.03150).

    Args:
        width: features of an atom.
        layers: interactions, each with an update.
        basis_size: Bessel functions.
        cutoff: in angstrom.
    """

    def __init__(self, width: int, layers: int, basis_size: int, cutoff: float) -> None:
        super().__init__(
            partial(
                _PaiNN, channels=width, radial_features=basis_size, layers=layers, cutoff=cutoff
            ),
            cutoff,
        )


@model("tensornet", packages=("graph-pes",))
class TensorNet(OfGraphs):
    """Tensors of rank two as features (Simeon and De Fabritiis 2023, arXiv 2306.06482).

    Args:
        width: tensors of an atom.
        layers: of interaction.
        basis_size: exponential functions.
        cutoff: in angstrom.
    """

    def __init__(self, width: int, layers: int, basis_size: int, cutoff: float) -> None:
        super().__init__(
            partial(
                _TensorNet, channels=width, radial_features=basis_size, layers=layers, cutoff=cutoff
            ),
            cutoff,
        )


@model("nequip", packages=("graph-pes", "e3nn"))
class NequIP(OfElements):
    """Convolutions that turn with the molecule (Batzner et al. 2022, Nat. Commun. 13, 2453).

    Args:
        width: features of an atom, of each degree and parity.
        layers: of messages.
        basis_size: Bessel functions.
        cutoff: in angstrom.
        degree: of features and directions, at most.
    """

    def __init__(
        self, width: int, layers: int, basis_size: int, cutoff: float, degree: int = 2
    ) -> None:
        features = {"channels": width, "l_max": degree, "use_odd_parity": True}
        super().__init__(
            partial(
                _NequIP,
                cutoff=cutoff,
                layers=layers,
                features=features,
                radial_features=basis_size,
            ),
            cutoff,
        )


@model("mace", packages=("graph-pes", "e3nn"))
class MACE(OfElements):
    """Products of sums over neighbours, passed on (Batatia et al. 2022, arXiv 2206.07697).

    Args:
        width: channels of an atom.
        layers: of messages.
        basis_size: Bessel functions.
        cutoff: in angstrom.
        degree: of directions, at most.
        passed: degree of what is passed from one layer to the next, at most.
        correlation: neighbours in a product, at most.
    """

    def __init__(
        self,
        width: int,
        layers: int,
        basis_size: int,
        cutoff: float,
        degree: int = 3,
        passed: int = 1,
        correlation: int = 3,
    ) -> None:
        hidden = [f"{d}{'eo'[d % 2]}" for d in range(passed + 1)]
        super().__init__(
            partial(
                _MACE,
                cutoff=cutoff,
                n_radial=basis_size,
                channels=width,
                hidden_irreps=hidden,
                l_max=degree,
                layers=layers,
                correlation=correlation,
            ),
            cutoff,
        )

    def fit_before_training(self, potential: Potential, labels: Labelled) -> None:
        """Divide sums over neighbours by how many there are of an atom in training, on average."""
        atoms = pairs = 0
        for part in labels.parts(1000):
            for table in part.tables.tables:
                atoms += int((table.numbers > 0).sum())
                pairs += int(table.pair.sum())
        for module in self.network.modules():
            if isinstance(module, _aggregation.ScaledSumNeighbours):
                module.scale.fill_(pairs / atoms)
