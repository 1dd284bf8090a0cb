"""What the keys of a configuration may hold, one by one and together."""

from __future__ import annotations

import math
import re
from dataclasses import fields
from typing import Any

from deepset_bench import registry
from deepset_bench.definition import KINDS
from deepset_bench.errors import UserError, nearest
from deepset_bench.schema import OPTIONS, Config

WIDTHS = 4
"""What any `width` is divisible by, so that every layer can be had at it."""
_CHOICES: dict[str, tuple[Any, ...]] = {
    "data.split": ("random", "blocks", "molecule"),
    "aggregation": ("mean", "max", "sum"),
    "reference.kind": ("molecule_mean", "composition", "isolated_atoms"),
    "trainer.loss_units": ("atomic", "normalised"),
    "trainer.select": ("error", "loss", "last"),
    "trainer.schedule.kind": ("cosine", "plateau"),
    "device": ("auto", "cpu", "mps", "cuda"),
    "logger.wandb": (None, "online", "offline"),
    "condition.labels": ("potential", "biased"),
    "condition.units": ("consistent", "mixed"),
    "condition.energy_loss": ("plain", "smoothed"),
    "condition.edges": ("all", "every_second", "as_reported"),
    "envelope": ("message", "none"),
    "pairs": ("fitted", "none"),
    "init_reference": ("refit", "kept"),
    "width_budget": (None, "parameters"),
    "energy_error": ("molecule", "atom"),
    "form": ("fused", "reference"),
    "compile": ("auto", True, False),
}
_RANGES = ("carbons", "torsion")
_POSITIVE = [
    "data.train_size",
    "data.val_size",
    "data.test_size",
    "rbf.size",
    "gating.experts",
    "trainer.epochs",
    "trainer.batch_size",
    "trainer.learning_rate",
    "cutoff",
    "width",
    "stack",
    "task.ood_size",
]
_NOT_NEGATIVE = [
    "seed",
    "data.held_out_size",
    "gnn.layers",
    "trainer.weight_decay",
    "trainer.energy_weight",
    "trainer.forces_weight",
    "trainer.stress_weight",
    "trainer.schedule.warmup_steps",
    "trainer.schedule.minimum",
]
_MOST: dict[str, float] = {
    **dict.fromkeys(("data.train_size", "data.val_size", "data.test_size"), 1e9),
    **dict.fromkeys(("data.held_out_size", "task.ood_size"), 1e9),
    **dict.fromkeys(("trainer.epochs", "trainer.batch_size", "trainer.schedule.warmup_steps"), 1e9),
    **dict.fromkeys(
        ("trainer.learning_rate", "trainer.weight_decay", "trainer.gradient_clip"), 1e30
    ),
    **dict.fromkeys(
        ("trainer.energy_weight", "trainer.forces_weight", "trainer.stress_weight"), 1e30
    ),
    **dict.fromkeys(("trainer.schedule.minimum", "trainer.schedule.patience"), 1e9),
    **dict.fromkeys(("width", "model.width", "rbf.size", "model.basis_size"), 1e4),
    **dict.fromkeys(("gating.experts", "gating.top_k", "stack", "threads"), 1e4),
    **dict.fromkeys(("gnn.layers", "model.layers"), 100),
    "cutoff": 1000,  # angstrom
    "trainer.schedule.factor": 1,
}
"""Larger values are slips: beyond any data set, molecule, network or machine."""


def choices() -> dict[str, tuple[Any, ...]]:
    """What keys may hold that take one of a few values."""
    return _CHOICES | {
        **{f"{group}.kind": registry.names(kind) for group, kind in OPTIONS.items()},
        "gnn.kind": ("none", *registry.names("graph_layer")),
        "readout": registry.names("readout"),
    }


def validate(config: Config) -> None:
    """Raise a one-line UserError for a value that no part of the product can use."""

    def at(key: str) -> Any:
        value: Any = config
        for part in key.split("."):
            value = getattr(value, part)
        return value

    transforms = registry.names("scalar")
    for key, options in choices().items():
        if at(key) not in options:
            names = ", ".join(
                "null" if option is None else str(option).lower() for option in options
            )
            raise UserError(f"{key}={at(key)} is not valid; choose from {names}")
    for key in ("scalars", "rbf.transforms"):
        names = at(key)
        unknown = [name for name in names if name not in transforms]
        if unknown or len(set(names)) < len(names):
            what = f"unknown {unknown[0]}" if unknown else "a repeated name"
            raise UserError(f"{key}={names} has {what}; choose each once of {transforms}")
    for key in ("data.train_size", "data.val_size", "data.test_size"):
        if at(key) < 1:
            raise UserError(
                f"{key}={at(key)}: at least 1 frame each is needed to train, to choose the best "
                "epoch (val) and to measure (test)"
            )
    for key in _POSITIVE:
        if not 0 < at(key) < math.inf:
            raise UserError(f"{key}={at(key)} must be greater than zero, and finite")
    for key in _NOT_NEGATIVE:
        if not 0 <= at(key) < math.inf:
            raise UserError(f"{key}={at(key)} must be finite and not negative")
    for key, most in _MOST.items():
        value = at(key)
        if value is not None and not value <= most:
            raise UserError(f"{key}={value} must be at most {most:g}")
    for key in ("trainer.schedule.factor", "trainer.schedule.patience"):
        if at(key) is not None and not at(key) >= 0:
            raise UserError(f"{key}={at(key)} must not be negative")
    if not config.trainer.energy_weight + config.trainer.forces_weight:
        raise UserError(
            "trainer.energy_weight=0 with trainer.forces_weight=0: nothing would be learned; "
            "one of them must be greater than zero"
        )
    if config.drawing_seed < 0:
        raise UserError(f"data.split_seed={config.drawing_seed} must not be negative, or null")
    for key in ("seed", "data.split_seed"):
        if (at(key) or 0) >= 2**63:
            raise UserError(f"{key}={at(key)} must be less than 2^63")
    for number, energy in config.reference.energies_ev.items():
        if not number.isdecimal() or not math.isfinite(energy):
            raise UserError(
                f"reference.energies_ev.{number}={energy}: the key is an atomic number, "
                "the value a finite energy in eV"
            )
    criteria = ("train", "ood", "val_unseen")
    for key in (f"task.{part}.{name}" for part in criteria for name in _RANGES):
        ends = at(key)
        if ends is not None and not (len(ends) == 2 and 0 <= ends[0] <= ends[1]):
            raise UserError(f"{key}={ends} must be [min, max], e.g. [2,4]")
    name = config.name
    short = name is None or len(name.encode(errors="surrogatepass")) <= 80
    letters = r"(?!\.)[^/\\\x00-\x1f\ud800-\udfff]+"  # nor bytes that are no UTF-8
    if not (short and re.fullmatch(letters, "none" if name is None else name)):
        raise UserError(
            f"name={name!r}: a folder's name has 1 to 80 bytes, no / or \\, and begins with no dot"
        )
    project = config.logger.project
    if project is not None and not re.fullmatch(r"[^/\\#?%:]{1,128}", project):
        raise UserError(
            f"logger.project={project!r}: W&B takes 1 to 128 characters, none of / \\ # ? % :"
        )
    sizes = ("model.width", "model.layers", "model.basis_size")
    for key in ("trainer.gradient_clip", "threads", "gating.top_k", *sizes):
        if at(key) is not None and not at(key) > 0:
            raise UserError(f"{key}={at(key)} must be greater than zero, or null")
    for key in ("rbf.size", "model.basis_size"):
        if at(key) == 1:
            raise UserError(f"{key}=1: a basis needs at least 2 functions")
    network, kind = config.network, config.model.kind
    divisors = [("width", WIDTHS), ("model.width", network.traits["divisible_by"])]
    for variant in config.variants:
        if variant.kind == "graph_layer":
            divisors.append((network.traits["width_key"], variant.traits["divisible_by"]))
    for key, divisor in divisors:
        if (at(key) or 0) % divisor:
            raise UserError(f"{key}={at(key)} must be divisible by {divisor}")
    for key in sizes:
        name = key.removeprefix("model.")
        reads = _has_size(kind, name)
        if (at(key) is None) == reads:
            others = [n for n in registry.names("model") if _has_size(n, name)]
            reason = (
                f"read by model={kind}, which has no default for it"
                if reads
                else f"for other networks ({', '.join(others)})"
            )
            raise UserError(f"{key}={at(key)} with model.kind={kind}: this size is {reason}")
    if config.pairs == "none" and not _reads(kind, "pairs"):
        found = ", ".join(n for n in registry.names("model") if _reads(n, "pairs"))
        raise UserError(f"pairs=none: these networks have a pair potential to leave out: {found}")
    if (config.gating.top_k or 0) > config.gating.experts:
        raise UserError(
            f"gating.top_k={config.gating.top_k} exceeds gating.experts={config.gating.experts}"
        )
    if (config.gnn.kind == "none") != (config.gnn.layers == 0):
        raise UserError(
            f"gnn.layers={config.gnn.layers} with gnn.kind={config.gnn.kind}: "
            "a graph layer needs at least 1 layer, none needs 0"
        )
    schedule = config.trainer.schedule
    plateau = schedule.kind == "plateau"
    if plateau != (schedule.factor is not None) or plateau != (schedule.patience is not None):
        raise UserError(
            "trainer.schedule.factor and trainer.schedule.patience belong to kind=plateau: "
            f"set both with it and null with {'cosine' if plateau else schedule.kind}"
        )


def _has_size(network: str, size: str) -> bool:
    """Whether a size in the group `model` is one of this network."""
    found = registry.find("model", network)
    return size in found.parameters and found.traits["width_key"] != size


def _reads(network: str, key: str) -> bool:
    """Whether a key that not every network has means something to this one."""
    return key in registry.find("model", network).traits["reads"]


def complete(config: Config) -> None:
    """Fill in the options of its variants that were not given, and their sources.

    Raises:
        UserError: an option that the variant does not have, or of another type.
    """
    for group, kind in OPTIONS.items():
        part = getattr(config, group)
        there = (kind, part.kind) in registry.variants()  # or it is none, or `validate` says so
        known = registry.find(kind, part.kind).options if there else {}
        for name, value in part.options.items():
            if name not in known:
                others = [*known, *(f.name for f in fields(part) if f.name != "options")]
                what = f"{KINDS[kind].words} {part.kind}"
                raise UserError(
                    f"{group}.{name}={value}: {what} has no such option; {nearest(name, others)}"
                )
            if not known[name].takes(value):
                raise UserError(f"{group}.{name}={value} must be {known[name]}")
        part.options = {name: part.options.get(name, o.default) for name, o in known.items()}
        for name, option in known.items():
            if float in option.types and type(part.options[name]) is int:
                part.options[name] = float(part.options[name])
    if ("model", config.model.kind) in registry.variants():
        config.sources = registry.sources(config.variants)
