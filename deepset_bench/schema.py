"""The typed configuration of one run: every key there is, and what it may hold."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from deepset_bench import registry
from deepset_bench.definition import KINDS, Variant
from deepset_bench.errors import UserError, chosen, nearest

YOUNG: Any = {"young": True}
"""Metadata of a key that is younger than the first runs: config.yaml and the identity of a run hold
it only where it is not at its default, so that what was trained before is still the same run."""


@dataclass
class Data:
    """Which frames, and how they are divided. Sizes are in frames."""

    name: str
    train_size: int
    val_size: int
    test_size: int
    split: str


@dataclass
class RBF:
    """The radial basis: `size` functions of d and of each transform of d."""

    kind: str
    size: int
    transforms: list[str]
    options: dict[str, Any] = field(default_factory=dict, metadata=YOUNG)


@dataclass
class GNN:
    """Graph layers over the species embedding."""

    kind: str
    layers: int
    options: dict[str, Any] = field(default_factory=dict, metadata=YOUNG)


@dataclass
class Gating:
    """How many experts there are, and how many of them serve one distance (null: all)."""

    experts: int
    top_k: int | None
    kind: str = field(default="distance", metadata=YOUNG)
    options: dict[str, Any] = field(default_factory=dict, metadata=YOUNG)


@dataclass
class Reference:
    """The energy reference; `energies_ev` by atomic number is read by `isolated_atoms` alone."""

    kind: str
    energies_ev: dict[str, float] = field(default_factory=dict)


@dataclass
class Schedule:
    """Linear warm-up, then `kind`; `factor` and `patience` (epochs) are the plateau's."""

    kind: str
    warmup_steps: int
    minimum: float
    factor: float | None
    patience: int | None


@dataclass
class Trainer:
    """The optimisation. The loss is energy_weight MSE(E) + forces_weight MSE(F)."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    gradient_clip: float | None
    energy_weight: float
    forces_weight: float
    loss_units: str
    schedule: Schedule


@dataclass
class Logger:
    """What records a run beside metrics.csv; `project` is W&B's, null its own choice."""

    wandb: str | None
    tensorboard: bool
    project: str | None


@dataclass
class Condition:
    """Each flaw of the report as a switch of its own."""

    name: str
    labels: str
    units: str
    energy_loss: str
    edges: str


@dataclass
class Model:
    """Which network; its sizes, null for those that it does not have."""

    kind: str = "deepset"
    width: int | None = None
    layers: int | None = None
    basis_size: int | None = None
    options: dict[str, Any] = field(default_factory=dict, metadata=YOUNG)


@dataclass
class Baseline:
    """The network whose parameters a budget allows: what decides their number, but for `width`.

    A run under a budget is as wide as the defaults of its day allow, so they are part of what it
    is: the composition resolves them into the configuration (nobody sets them), config.yaml keeps
    them and the identity holds them. A changed default then asks for a new run, and a trained one
    is built as wide as it is. The width itself would say the same but cost the network, and PyTorch
    with it, wherever a run is only looked for. The defaults here are those of the first runs, whose
    config.yaml and identity have no such key.
    """

    model: Model = field(default_factory=Model)
    scalars: list[str] = field(default_factory=list)
    rbf: RBF = field(default_factory=lambda: RBF("gaussian", 32, []))
    gnn: GNN = field(default_factory=lambda: GNN("none", 0))
    gating: Gating = field(default_factory=lambda: Gating(10, None))
    readout: str = "equivariant"


@dataclass
class Selection:
    """Frames that meet every condition that is given; without any, all of them."""

    molecules: list[str] = field(default_factory=list)
    carbons: list[int] | None = None
    torsion: list[float] | None = None

    @property
    def chooses(self) -> bool:
        """Whether any condition is given."""
        return bool(self.molecules) or self.carbons is not None or self.torsion is not None


@dataclass
class Task:
    """What a run is to generalise to: `ood` frames of the set `data` (null: the run's own).

    It is trained, validated and tested on frames that `train` selects and `ood` does not.
    """

    data: str | None = None
    train: Selection = field(default_factory=Selection)
    ood: Selection = field(default_factory=Selection)
    ood_size: int = 500

    @property
    def has_ood(self) -> bool:
        """Whether there is anything to generalise to."""
        return self.data is not None or self.ood.chooses


@dataclass
class Config:
    """One run; keys with a default are YOUNG.

    `options` of a group are the parameters of its variant that have no key of their own; a person
    sets them as keys of the group. `sources` are checksums of the variants' files that are not the
    product's own.
    """

    data: Data
    scalars: list[str]
    rbf: RBF
    gnn: GNN
    aggregation: str
    gating: Gating
    reference: Reference
    trainer: Trainer
    device: str
    logger: Logger
    condition: Condition
    seed: int
    cutoff: float
    width: int
    envelope: str
    form: str
    compile: bool | str
    stack: int
    threads: int | None
    runs_dir: str | None
    model: Model = field(default_factory=Model)
    width_budget: str | None = None
    task: Task = field(default_factory=Task)
    energy_error: str = "molecule"
    readout: str = "equivariant"
    pairs: str = "fitted"
    sources: dict[str, str] = field(default_factory=dict, metadata=YOUNG)
    budget_of: Baseline = field(default_factory=Baseline)

    @property
    def network(self) -> Variant:
        """The network, as it is registered."""
        return registry.find("model", self.model.kind)

    @property
    def variants(self) -> list[Variant]:
        """Every variant that the run is made of."""
        chosen = [("model", self.model.kind)]
        reads = self.network.parameters
        transforms = [*self.scalars, *self.rbf.transforms]
        chosen += [("scalar", name) for name in dict.fromkeys(transforms) if "scalars" in reads]
        for parameter, kind, name in (
            ("basis", "radial_basis", self.rbf.kind),
            ("gnn", "graph_layer", self.gnn.kind),
            ("gate", "gate", self.gating.kind),
            ("readout", "readout", self.readout),
        ):
            if parameter in reads and name != "none":
                chosen.append((kind, name))
        return [registry.find(kind, name) for kind, name in chosen]

    @property
    def sets(self) -> tuple[str, ...]:
        """Names of the data sets that determine the run: its own, and its task's if another."""
        other = self.task.data
        return (self.data.name,) if other in (None, self.data.name) else (self.data.name, other)

    @property
    def every_second(self) -> bool:
        """Whether this run trains on every second edge, as the report's GNN and RBF runs did."""
        as_reported = self.gnn.kind != "none" or bool(self.rbf.transforms)
        halved = {"all": False, "every_second": True, "as_reported": as_reported}
        return chosen("condition.edges", self.condition.edges, halved)


MAX_ATOMIC_NUMBER = 99
"""The last element that the networks' tables of embeddings hold, unless a set has heavier ones."""
WIDTHS = 4
"""What any `width` is divisible by, so that every layer can be had at it."""
OPTIONS = {"model": "model", "rbf": "radial_basis", "gnn": "graph_layer", "gating": "gate"}
"""Groups whose variants have options, and their kind."""
_CHOICES: dict[str, tuple[Any, ...]] = {
    "data.split": ("random", "blocks", "molecule"),
    "aggregation": ("mean", "max", "sum"),
    "reference.kind": ("molecule_mean", "composition", "isolated_atoms"),
    "trainer.loss_units": ("atomic", "normalised"),
    "trainer.schedule.kind": ("cosine", "plateau"),
    "device": ("auto", "cpu", "mps", "cuda"),
    "logger.wandb": (None, "online", "offline"),
    "condition.labels": ("potential", "biased"),
    "condition.units": ("consistent", "mixed"),
    "condition.energy_loss": ("plain", "smoothed"),
    "condition.edges": ("all", "every_second", "as_reported"),
    "envelope": ("message", "none"),
    "pairs": ("fitted", "none"),
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
    "gnn.layers",
    "trainer.weight_decay",
    "trainer.energy_weight",
    "trainer.forces_weight",
    "trainer.schedule.warmup_steps",
    "trainer.schedule.minimum",
]
_MOST: dict[str, float] = {
    **dict.fromkeys(("data.train_size", "data.val_size", "data.test_size", "task.ood_size"), 1e9),
    **dict.fromkeys(("trainer.epochs", "trainer.batch_size", "trainer.schedule.warmup_steps"), 1e9),
    **dict.fromkeys(
        ("trainer.learning_rate", "trainer.weight_decay", "trainer.gradient_clip"), 1e30
    ),
    **dict.fromkeys(("trainer.energy_weight", "trainer.forces_weight"), 1e30),
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
            raise UserError(f"{key}={at(key)} must not be negative, and finite")
    for key, most in _MOST.items():
        value = at(key)
        if value is not None and not value <= most:
            raise UserError(f"{key}={value} must be {most:g} at most")
    for key in ("trainer.schedule.factor", "trainer.schedule.patience"):
        if at(key) is not None and not at(key) >= 0:
            raise UserError(f"{key}={at(key)} must not be negative")
    if not config.trainer.energy_weight + config.trainer.forces_weight:
        raise UserError(
            "trainer.energy_weight=0 with trainer.forces_weight=0: nothing would be learned; "
            "one of them must be greater than zero"
        )
    if config.seed >= 2**63:
        raise UserError(f"seed={config.seed} must be less than 2^63")
    for number, energy in config.reference.energies_ev.items():
        if not number.isdecimal() or not math.isfinite(energy):
            raise UserError(
                f"reference.energies_ev.{number}={energy}: the key is an atomic number, "
                "the value a finite energy in eV"
            )
    for key in (f"task.{part}.{name}" for part in ("train", "ood") for name in _RANGES):
        ends = at(key)
        if ends is not None and not (len(ends) == 2 and 0 <= ends[0] <= ends[1]):
            raise UserError(f"{key}={ends} is to be the least and the most, as in [2,4]")
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
        reads = name in network.parameters and network.traits["width_key"] != name
        if (at(key) is None) == reads:
            others = [n for n in registry.names("model") if n != kind]
            reason = (
                f"set by model={kind}" if reads else f"for other networks ({', '.join(others)})"
            )
            raise UserError(f"{key}={at(key)} with model.kind={kind}: this size is {reason}")
    if config.pairs == "none" and "pairs" not in network.traits["reads"]:
        raise UserError("pairs=none: only model=deepset_x has a pair potential to leave out")
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
                raise UserError(f"{group}.{name}={value} is to be {known[name]}")
        part.options = {name: part.options.get(name, o.default) for name, o in known.items()}
        for name, option in known.items():
            if float in option.types and type(part.options[name]) is int:
                part.options[name] = float(part.options[name])
    if ("model", config.model.kind) in registry.variants():
        config.sources = registry.sources(config.variants)


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as dotted ones."""
    leaves: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            leaves |= flat(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves
