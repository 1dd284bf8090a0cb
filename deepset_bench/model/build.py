"""Configuration -> the network it describes, as wide as its budget of parameters allows."""

from __future__ import annotations

from bisect import bisect_left
from functools import cache

import torch
from torch import nn

from deepset_bench.config import experiment
from deepset_bench.errors import chosen
from deepset_bench.model.deepset.layers import GraphLayers
from deepset_bench.model.deepset.network import DeepSet
from deepset_bench.model.deepset_x.network import DeepSetX
from deepset_bench.model.radial import RadialBasis
from deepset_bench.schema import GAT_HEADS, MODELS, Config


def build_model(config: Config) -> nn.Module:
    """The network of a configuration, initialised from torch's global random state."""
    return _network(config, width_of(config))


def width_of(config: Config) -> int:
    """Features per atom of the network.

    Under width_budget=parameters, the width that comes nearest to the number of parameters of the
    baseline, the default DeepSet, whose width is then what `config.width` says.
    """
    if config.width_budget is None:
        return config.model.width or config.width
    baseline = experiment(()).config

    @cache
    def parameters(width: int) -> int:
        return _parameters(config, width)

    budget = _parameters(baseline, config.width)
    step = GAT_HEADS if config.gnn.kind == "gat" else MODELS[config.model.kind]
    widths = range(step, 8 * config.width + 1, step)
    enough = bisect_left(widths, budget, key=parameters)  # the first that reaches the budget
    return min(widths[max(enough - 1, 0) : enough + 1], key=lambda w: abs(parameters(w) - budget))


def _parameters(config: Config, width: int) -> int:
    """How many there are; the random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        return sum(p.numel() for p in _network(config, width).parameters())


def _network(config: Config, width: int) -> nn.Module:
    model = config.model
    if model.kind != "deepset":
        assert model.layers is not None
        assert model.basis_size is not None
        if model.kind == "deepset_x":
            return DeepSetX(width, model.layers, model.basis_size, config.cutoff)
        # Here, because PyG takes longer than everything else that a DeepSet imports.
        from deepset_bench.model.peers import PEERS

        return chosen("model.kind", model.kind, PEERS)(
            width, model.layers, model.basis_size, config.cutoff
        )
    gnn = None
    if config.gnn.kind != "none":
        gnn = GraphLayers(config.gnn.kind, width, config.gnn.layers, config.aggregation)
    return DeepSet(
        cutoff=config.cutoff,
        width=width,
        scalars=config.scalars,
        basis=RadialBasis(config.rbf.kind, config.rbf.size, config.cutoff, config.rbf.transforms),
        n_experts=config.gating.experts,
        top_k=config.gating.top_k,
        gnn=gnn,
        envelope=config.envelope,
        readout=config.readout,
    )
