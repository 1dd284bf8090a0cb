"""Which keys a configuration reads: one that nothing reads may not be set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from deepset_bench import registry
from deepset_bench.errors import UserError
from deepset_bench.schema import Config, flat

_PARTS = {
    "scalars": ("scalars",),
    "basis": ("rbf",),
    "gnn": ("gnn", "aggregation"),
    "gate": ("gating",),
    "envelope": ("envelope",),
    "readout": ("readout",),
}
"""Parameters of a network, and the keys that they are made of."""


def check_read(config: Config, usual: Mapping[str, Any]) -> None:
    """Refuse a key that nothing reads: its run would be the same run under another name.

    Args:
        config: of one run.
        usual: dotted keys of the condition's baseline; a key with that value was not set.

    Raises:
        UserError: the first such key, and what reads it.
    """
    unread = unread_keys(config)
    for key, value in flat(asdict(config)).items():
        names = [name for name in unread if f"{key}.".startswith(f"{name}.")]
        if names and value != usual.get(key):
            where, instead = unread[names[0]]
            raise UserError(f"{key}={value} is not read by {where}; {instead}")
    experts, top_k = config.gating.experts, config.gating.top_k
    if top_k == experts:
        raise UserError(
            f"gating.top_k={top_k} keeps all of gating.experts={experts}; use gating.top_k=null"
        )


def unread_keys(config: Config) -> dict[str, tuple[str, str]]:
    """Group or dotted key -> what does not read it here, and what to do."""
    network, budget = config.network, config.width_budget
    where = f"model={network.name}" + (f" under width_budget={budget}" if budget else "")
    found = {
        key: (where, "leave it out")
        for parameter, keys in _PARTS.items()
        if parameter not in network.parameters
        for key in keys
    }
    if len(network.traits["forms"]) == 1:
        found["form"] = where, "leave it out"
    if network.traits["width_key"] != "width":
        found["width"] = where, "set model.width"
        if budget:
            found["model.width"] = found.pop("width")[0], "leave it out"
    if "gnn" in network.parameters:
        layer = None if config.gnn.kind == "none" else registry.find("graph_layer", config.gnn.kind)
        if layer is None or "aggregation" not in layer.parameters:
            reading = [
                f"gnn={name}"
                for name in registry.names("graph_layer")
                if "aggregation" in registry.find("graph_layer", name).parameters
            ]
            found["aggregation"] = f"gnn={config.gnn.kind}", f"{' and '.join(reading)} read it"
    if "gate" in network.parameters:
        gate = registry.find("gate", config.gating.kind)
        for name, others in (("top_k", ()), ("experts", network.parameters)):
            if name not in gate.parameters and name not in others:
                found[f"gating.{name}"] = f"gating={gate.name}", "leave it out"
    if config.reference.kind != "isolated_atoms":
        where = f"reference={config.reference.kind}"
        found["reference.energies_ev"] = where, "reference=isolated_atoms reads it"
    if config.logger.wandb is None and not config.logger.mlflow:
        found["logger.project"] = "logger.wandb=null", "logger=wandb and logger=mlflow read it"
    if config.init is None:
        found["init_reference"] = "a run without init=", "init=RUN reads it"
    if not config.task.has_ood:
        instead = "a task with out-of-distribution frames reads it"
        found["task.ood_size"] = "a run without a task", instead
    return found
