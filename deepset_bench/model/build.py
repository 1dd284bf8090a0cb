"""Configuration -> the network it describes, as wide as its budget of parameters allows."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import cache, partial
from typing import Any

import torch
from torch import nn

from deepset_bench import registry
from deepset_bench.config import experiment
from deepset_bench.definition import Variant
from deepset_bench.model.deepset.graph import GraphLayers
from deepset_bench.model.others import own_module
from deepset_bench.model.radial import Function, RadialBasis
from deepset_bench.schema import Baseline, Config


def build_model(config: Config) -> nn.Module:
    """The network of a configuration, initialised from torch's global random state."""
    return _network(config, width_of(config))


def width_of(config: Config) -> int:
    """Features per atom of the network.

    Under width_budget=parameters, the width that comes nearest to the number of parameters of the
    baseline, as `config.budget_of` has it, whose width is then what `config.width` says.
    """
    if config.width_budget is None:
        return config.model.width or config.width
    parts = {key.name: getattr(config.budget_of, key.name) for key in fields(Baseline)}
    baseline = replace(experiment(()).config, **parts)

    @cache
    def parameters(width: int) -> int:
        return _parameters(config, width)

    budget = _parameters(baseline, config.width)
    step = math.lcm(*(one.traits.get("divisible_by", 1) for one in config.variants))
    widths = range(step, 8 * config.width + 1, step)
    enough = bisect_left(widths, budget, key=parameters)  # the first that reaches the budget
    return min(widths[max(enough - 1, 0) : enough + 1], key=lambda w: abs(parameters(w) - budget))


def _parameters(config: Config, width: int) -> int:
    """How many there are; the random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        return sum(p.numel() for p in _network(config, width).parameters())


def _network(config: Config, width: int) -> nn.Module:
    """The network, given what it has parameters for."""
    found = config.network
    parts: dict[str, Any] = {"cutoff": config.cutoff, **config.model.options, "width": width}
    parts |= {"layers": config.model.layers, "basis_size": config.model.basis_size}
    parts |= {"experts": config.gating.experts, "envelope": config.envelope}
    for name, make in _PARTS.items():
        if name in found.parameters:
            parts[name] = make(config, width)
    return _made(found, parts)


def _made(variant: Variant, given: dict[str, Any]) -> nn.Module:
    module: nn.Module = variant.call(**given)
    return module if variant.ours else own_module(variant, module)


def _scalars(names: Sequence[str]) -> list[Function]:
    return [registry.find("scalar", name).load() for name in names]


def _gnn(config: Config, width: int) -> GraphLayers | None:
    if config.gnn.kind == "none":
        return None
    layer = registry.find("graph_layer", config.gnn.kind)
    given = {"width": width, "aggregation": config.aggregation, **config.gnn.options}
    traits = {name: layer.traits[name] for name in ("draws_by_edge", "of_neighbours")}
    return GraphLayers(lambda: _made(layer, given), config.gnn.layers, **traits)


def _basis(config: Config, width: int) -> RadialBasis:
    rbf = config.rbf
    basis = registry.find("radial_basis", rbf.kind)
    given = {"size": rbf.size, "cutoff": config.cutoff, **rbf.options}
    return RadialBasis(_made(basis, given), rbf.size, _scalars(rbf.transforms))


def _gate(config: Config, width: int) -> Callable[[], nn.Module]:
    gating, gate = config.gating, registry.find("gate", config.gating.kind)
    given = {"experts": gating.experts, "top_k": gating.top_k, "cutoff": config.cutoff}
    return lambda: _made(gate, given | gating.options)


_PARTS: dict[str, Callable[[Config, int], Any]] = {
    "gnn": _gnn,
    "basis": _basis,
    "gate": _gate,
    "scalars": lambda config, width: _scalars(config.scalars),
    "readout": lambda config, width: partial(
        _made, registry.find("readout", config.readout), {"width": width}
    ),
}
"""Parameters of a network that are made of a group, in the order of what they draw."""
