"""TorchMD-Net's networks (torchmd-net 3.1) as atomic energies.

Their own search for neighbours is replaced by the edges of the batch.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from deepset_bench.model.peers.foreign import imported
from deepset_bench.model.peers.given import GivenWithLoops, cut_tails
from deepset_bench.model.readout import EquivariantReadout
from deepset_bench.schema import MAX_ATOMIC_NUMBER
from deepset_bench.variants import model

# Its search for neighbours and its kernels for GPUs are in Warp, which looks for devices, prints
# what they are and compiles on the spot. Neither is used: TensorNet has all of it in Python, too.
_SEARCH = ModuleType("torchmdnet.extensions.ops")
vars(_SEARCH)["get_neighbor_pairs_kernel"] = None
_WITHOUT = {"torchmdnet.extensions.warp_ops": None, _SEARCH.__name__: _SEARCH}
_et = imported("torchmdnet.models.torchmd_et", _WITHOUT)
_tensornet = imported("torchmdnet.models.tensornet", _WITHOUT)
_output = imported("torchmdnet.models.output_modules", _WITHOUT)
_tensornet.OPT = False  # whoever imported it before
for _name in ("compose_tensor", "decompose_tensor", "tensor_matmul_o3", "tensor_matmul_so3"):
    setattr(_tensornet, _name, getattr(_tensornet, f"_{_name}"))


def _of_both(embedding: Any, z: Tensor, edge_index: Tensor) -> Tensor:
    """TensorNet's features of the elements of a pair, by no view that depends on how many pairs."""
    Z = embedding.emb(z)
    found: Tensor = embedding.emb2(torch.cat([Z.index_select(0, i) for i in edge_index], dim=-1))
    return found


_tensornet.TensorEmbedding._get_atomic_number_message = _of_both


def _settings(width: int, layers: int, basis_size: int, cutoff: float) -> dict[str, Any]:
    """What both representations are made with."""
    return {
        "hidden_channels": width,
        "num_layers": layers,
        "num_rbf": basis_size,
        "trainable_rbf": False,
        "cutoff_upper": cutoff,
        "max_z": MAX_ATOMIC_NUMBER + 1,
        "dtype": torch.get_default_dtype(),
    }


def _give_pairs(representation: Any, name: str) -> None:
    """Have a representation take our pairs, and count nothing that is too small to matter."""
    representation.distance = GivenWithLoops(name)
    representation.distance_expansion.register_forward_hook(cut_tails)


@model("tmd_et", divisible_by=8, packages=("torchmd-net",), masks_edges=True)  # its heads
class EquivariantTransformer(nn.Module):
    """Attention over scalars and vectors (Thölke and De Fabritiis 2022, arXiv 2202.02541).

    torchmd-net's representation with `vector_cutoff`, without which its energies jump where a pair
    crosses the cutoff, and our readout, the same gated equivariant blocks as theirs.

    Args:
        width: features of an atom, in 8 heads.
        layers: of attention.
        basis_size: exponential-normal functions.
        cutoff: in angstrom.
    """

    def __init__(self, width: int, layers: int, basis_size: int, cutoff: float) -> None:
        super().__init__()
        self.representation = _et.TorchMD_ET(
            **_settings(width, layers, basis_size, cutoff), vector_cutoff=True
        )
        _give_pairs(self.representation, "tmd_et")
        self.readout = EquivariantReadout(width)

    def forward(self, numbers: Tensor, vectors: Tensor, edge_index: Tensor) -> Tensor:
        """(N,) dimensionless atomic energies; see `DeepSet.forward`."""
        atoms = torch.arange(numbers.shape[0], device=numbers.device)
        X, V, *_ = self.representation(numbers, (edge_index, vectors), atoms)
        return self.readout(X, V)


@model("tmd_tensornet", divisible_by=2, packages=("torchmd-net",))  # half of them in its readout
class TorchMDTensorNet(nn.Module):
    """Tensors of rank two as features (Simeon and De Fabritiis 2023, arXiv 2306.06482).

    Args:
        width: tensors of an atom.
        layers: of interaction.
        basis_size: exponential-normal functions.
        cutoff: in angstrom.
    """

    def __init__(self, width: int, layers: int, basis_size: int, cutoff: float) -> None:
        super().__init__()
        self.representation = _tensornet.TensorNet(
            **_settings(width, layers, basis_size, cutoff), static_shapes=False
        )
        _give_pairs(self.representation, "tmd_tensornet")
        self.readout = _output.Scalar(width, dtype=torch.get_default_dtype())

    def forward(self, numbers: Tensor, vectors: Tensor, edge_index: Tensor) -> Tensor:
        """(N,) dimensionless atomic energies; see `DeepSet.forward`."""
        atoms = torch.arange(numbers.shape[0], device=numbers.device)
        given = edge_index.flip(0), vectors  # it has rows [i, j]
        X, *_ = self.representation(numbers, given, atoms)
        energies: Tensor = self.readout.output_network(X)
        return energies.squeeze(-1)
