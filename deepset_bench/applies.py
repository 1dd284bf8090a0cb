"""Which keys a configuration reads: one that nothing reads may not be set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from deepset_bench.errors import UserError
from deepset_bench.schema import DEEPSET_ONLY, Config, flat


def check_read(config: Config, usual: Mapping[str, Any]) -> None:
    """Refuse a key that nothing reads: its run would be the same run under another name.

    Args:
        config: of one run.
        usual: dotted keys of the condition's baseline; a key with that value was not set.

    Raises:
        UserError: the first such key, and what reads it.
    """
    unread = _unread(config)
    for key, value in flat(asdict(config)).items():
        names = [name for name in unread if f"{key}.".startswith(f"{name}.")]
        if names and value != usual.get(key):
            where, instead = unread[names[0]]
            raise UserError(f"{key}={value} is not read by {where}; {instead}")
    experts, top_k = config.gating.experts, config.gating.top_k
    if top_k == experts:
        raise UserError(
            f"gating.top_k={top_k} keeps all of gating.experts={experts}; gating.top_k=null is that"
        )


def _unread(config: Config) -> dict[str, tuple[str, str]]:
    """Group or dotted key -> what does not read it here, and what to do."""
    kind, budget = config.model.kind, config.width_budget
    found: dict[str, tuple[str, str]] = {}
    if kind != "deepset":
        where = f"model={kind}" + (f" under width_budget={budget}" if budget else "")
        found |= dict.fromkeys(DEEPSET_ONLY, (where, "leave it out"))
        if budget:
            found["model.width"] = where, "leave it out"
        else:
            found["width"] = where, "set model.width"
    elif config.gnn.kind in ("none", "gat"):
        found["aggregation"] = f"gnn={config.gnn.kind}", "gnn=sage and gnn=edge read it"
    if config.reference.kind != "isolated_atoms":
        where = f"reference={config.reference.kind}"
        found["reference.energies_ev"] = where, "reference=isolated_atoms reads it"
    if config.logger.wandb is None:
        found["logger.project"] = "logger.wandb=null", "logger=wandb reads it"
    if not config.task.has_ood:
        instead = "a task with out-of-distribution frames reads it"
        found["task.ood_size"] = "a run without a task", instead
    return found
