"""A readout with its gradient, by its own method or by autograd."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from deepset_bench.model.others import of_shape


class Read:
    """The readout and its gradient; with its first maps composed where that is less work.

    Args:
        readout: of the model.
        few: whether the maps that come before are of so few numbers that it is.
    """

    def __init__(self, readout: nn.Module, *, few: bool) -> None:
        self.readout = readout
        self.first: tuple[Tensor, Tensor] | None = None
        if hasattr(readout, "first_maps"):
            self.first = cast("Any", readout).first_maps()
        self.few = few and self.first is not None

    def composed(self, W: Tensor) -> tuple[Tensor, Tensor]:
        """(K, F) -> what makes `with_gradient`'s V and X."""
        if not self.few or self.first is None:
            return W, W
        to_V, to_X = self.first
        return W @ to_V.T, W @ to_X.T

    def with_gradient(
        self, V: Tensor, X: Tensor, create_graph: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Energies (n,) and their gradients by V (n, 3, ...) and X (n, ...)."""
        if self.first is None:
            with torch.enable_grad():
                if not create_graph:
                    V, X = V.detach().requires_grad_(), X.detach().requires_grad_()
                energies = of_shape(self.readout(X, V), X.shape[:1], self.readout, X)
                of = energies.sum(), (V, X)
                dV, dX = torch.autograd.grad(*of, create_graph=create_graph, materialize_grads=True)
            return energies, dV, dX
        to_V, to_X = self.first
        if not self.few:
            V, X = V @ to_V.T, X @ to_X.T
        energies, dV, dX = cast("Any", self.readout).with_gradient(V, X)
        if not self.few:
            dV, dX = dV @ to_V, dX @ to_X
        return energies, dV, dX
