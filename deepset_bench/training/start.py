"""Fine-tuning: a run that starts from the weights of another, `init=RUN`.

It starts as the same function of the geometry, but for the energy reference: that is a property of
the labels, and unless `init_reference=kept` it is fitted to the new ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols
from torch import Tensor

from deepset_bench.applies import unread_keys
from deepset_bench.config_file import load_config
from deepset_bench.data.splits import Split
from deepset_bench.errors import UserError, one_line
from deepset_bench.files import digest
from deepset_bench.model.energy_reference import EnergyReference
from deepset_bench.model.potential import Potential
from deepset_bench.molecules.frames import Frames
from deepset_bench.molecules.selected import Selected
from deepset_bench.record import DATA, ENERGY_MAE, FORCES_MAE
from deepset_bench.runs import RunFolder, named_run
from deepset_bench.schema import Config, flat
from deepset_bench.training import checkpoint

_NETWORK = (
    *("model", "scalars", "rbf", "gnn", "aggregation", "gating", "readout", "envelope", "cutoff"),
    *("width", "width_budget", "budget_of", "pairs", "sources"),
    *("condition.units", "condition.edges"),
)
"""Groups and keys that say which function the weights are of."""


@dataclass(frozen=True)
class Start:
    """Weights to start from.

    Attributes:
        source: of them, for messages.
        potential: names -> parameters and buffers.
        reference: of the run that they are of.
        words: what to say of them.
    """

    source: str
    potential: Mapping[str, Tensor]
    reference: EnergyReference
    words: str = ""

    def check_elements(self, train: Frames | Selected) -> None:
        """Raise a UserError unless these frames hold the elements that the weights know."""
        known, here = (
            ", ".join(chemical_symbols[z] for z in species)
            for species in (self.reference.species, train.species)
        )
        if known != here:
            raise UserError(
                f"{self.source}: its weights are of the elements {known}, the training frames here "
                f"hold {here}; a run starts from one of the same elements"
            )

    def give(self, potential: Potential) -> None:
        """Load the weights.

        Raises:
            UserError: they do not fit.
        """
        try:
            checkpoint.check_parameters(dict(self.potential), potential)
        except ValueError as error:
            raise UserError(f"{self.source}: does not fit ({one_line(error)})") from None
        potential.load_state_dict(dict(self.potential))


def start_of(config: Config) -> Start:
    """What `init` of a configuration names.

    Raises:
        UserError: a file of that run is missing, damaged or has changed since it was asked for, or
            the run is of another network; the message names the first key that differs.
    """
    folder = named_run(str(config.init), config.runs_dir)
    source = f"init={config.init}"
    there = load_config(folder.config)
    keys = _NETWORK + (("reference.kind",) if config.init_reference == "kept" else ())
    a, b = _network(there, keys), _network(config, keys)
    for key in dict.fromkeys([*a, *b]):
        if a.get(key) != b.get(key):
            raise UserError(
                f"{source}: {key} is {a.get(key)} there and {b.get(key)} here; weights are those "
                "of one network"
            )
    best = checkpoint.load_best(folder.best, torch.device("cpu"))
    if digest([folder.best]) != config.init_sha256:
        raise UserError(f"{source}: is being trained and has changed; wait until it is done")
    words = f"starts from the weights of {folder.path}, epoch {best['epochs']}{_val(folder)}"
    return Start(source, best["potential"], _reference(best, folder.best), words)


def seen_before(config: Config, checksums: Mapping[str, str], split: Split) -> str:
    """How many test frames the run that `init` names was trained on, a line; empty for none.

    Args:
        config: of the run that starts from it.
        checksums: name -> SHA-256 of each of its sets.
        split: of its frames; of another set, or version of it, nothing is said.
    """
    source, name = named_run(str(config.init), config.runs_dir), config.data.name
    there = load_config(source.config)
    if there.data.name != name or source.result().get(DATA, {}).get(name) != checksums[name]:
        return ""
    try:
        known = int(np.isin(split.test, Split.load(source.split).train).sum())
    except UserError:  # it is not needed to start from
        return ""
    if not known:
        return ""
    return (
        f"{known} of {len(split.test)} test frames were training frames of init={config.init}: "
        f"errors on them are too small; data.split_seed={there.drawing_seed} and its sizes draw "
        "its split"
    )


def own_start(folder: RunFolder, saved: Mapping[str, Any]) -> Start:
    """What a run that was begun goes on from: its own checkpoint, wherever it had started.

    Args:
        folder: of the run.
        saved: its last checkpoint, or its best.

    Raises:
        UserError: its best checkpoint is damaged.
    """
    best = checkpoint.load_best(folder.best, torch.device("cpu"))
    return Start(str(folder.path), saved["potential"], _reference(best, folder.best))


def _reference(best: Mapping[str, Any], path: Path) -> EnergyReference:
    try:
        species = checkpoint.unpack_species(best["potential"])
        return checkpoint.unpack_reference(best["reference"], species)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{path}: is not a complete checkpoint ({one_line(error)})") from None


def _network(config: Config, keys: tuple[str, ...]) -> dict[str, Any]:
    """The keys that are read, dotted, and whether only every second edge is."""
    unread = tuple(f"{key}." for key in unread_keys(config))
    wanted = tuple(f"{key}." for key in keys if key != "condition.edges")
    found = {
        key: value
        for key, value in flat(asdict(config)).items()
        if f"{key}.".startswith(wanted) and not f"{key}.".startswith(unread)
    }
    return found | {"condition.edges": "every_second" if config.every_second else "all"}


def _val(folder: RunFolder) -> str:
    """Validation errors of the best epoch, of a run that is done."""
    result = folder.result()
    if result.get("status") != "done":
        return f" (the run is {folder.status().get('state', 'not done')})"
    energy, forces = (result["metrics"]["val"][key] * 1e3 for key in (ENERGY_MAE, FORCES_MAE))
    return f", val energy MAE {energy:.1f} meV, forces MAE {forces:.1f} meV/Å"
