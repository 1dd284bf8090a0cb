"""The typed configuration of one run: every key there is; `validation` says what it may hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deepset_bench import registry
from deepset_bench.definition import Variant
from deepset_bench.errors import chosen

YOUNG: Any = {"young": True}
"""Metadata of a key that is younger than the first runs: config.yaml and the identity of a run hold
it only where it is not at its default, so that what was trained before is still the same run."""


@dataclass
class Data:
    """Which frames, and how they are divided. Sizes are in frames.

    `split_seed` draws the parts, and nothing else; null: the seed of the run does. `held_out_size`
    is the most that are scored once a run is trained, of those that it was neither trained nor
    validated on.
    """

    name: str
    train_size: int
    val_size: int
    test_size: int
    split: str
    held_out_size: int = field(default=10_000, metadata=YOUNG)
    split_seed: int | None = field(default=None, metadata=YOUNG)


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
    """The optimisation. The loss is energy_weight MSE(E) + forces_weight MSE(F).

    Frames that are labelled with stress add stress_weight MSE(stress). `select` is the rule by
    which the epoch is chosen that best.pt keeps.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    gradient_clip: float | None
    energy_weight: float
    forces_weight: float
    loss_units: str
    schedule: Schedule
    stress_weight: float = field(default=0.02, metadata=YOUNG)
    select: str = field(default="loss", metadata=YOUNG)

    def steps_an_epoch(self, n_train: int) -> int:
        """How often the optimiser steps in an epoch of so many training frames."""
        return math.ceil(n_train / self.batch_size)


@dataclass
class Logging:
    """What records a run beside metrics.csv; `project` is W&B's and MLflow's, null their choice."""

    wandb: str | None
    tensorboard: bool
    project: str | None
    mlflow: bool = field(default=False, metadata=YOUNG)


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
class Criteria:
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

    It is trained, validated and tested on frames that `train` selects and neither `ood` nor
    `val_unseen` does. Those of `val_unseen` are for choosing settings by, of molecules that are in
    no other part: what is chosen by `ood` cannot be judged on it.
    """

    data: str | None = None
    train: Criteria = field(default_factory=Criteria)
    ood: Criteria = field(default_factory=Criteria)
    ood_size: int = 500
    val_unseen: Criteria = field(default_factory=Criteria, metadata=YOUNG)

    @property
    def has_ood(self) -> bool:
        """Whether there is anything to generalise to."""
        return self.data is not None or self.ood.chooses


@dataclass
class Config:
    """One run; keys with a default are YOUNG.

    `options` of a group are the parameters of its variant that have no key of their own; a person
    sets them as keys of the group. `sources` are checksums of the variants' files that are not the
    product's own. `init` is the run whose weights a run starts from and `init_sha256` the checksum
    of that run's checkpoint, which nobody sets.
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
    logger: Logging
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
    init: str | None = None
    init_reference: str = "refit"
    init_sha256: str | None = field(default=None, metadata=YOUNG)
    name: str | None = None
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
    def drawing_seed(self) -> int:
        """What the split is drawn by."""
        return self.seed if self.data.split_seed is None else self.data.split_seed

    @property
    def every_second(self) -> bool:
        """Whether this run trains on every second edge, as the report's GNN and RBF runs did."""
        as_reported = self.gnn.kind != "none" or bool(self.rbf.transforms)
        halved = {"all": False, "every_second": True, "as_reported": as_reported}
        return chosen("condition.edges", self.condition.edges, halved)


MAX_ATOMIC_NUMBER = 99
"""The last element that the networks' tables of embeddings hold, unless a set has heavier ones."""
OPTIONS = {"model": "model", "rbf": "radial_basis", "gnn": "graph_layer", "gating": "gate"}
"""Groups whose variants have options, and their kind."""


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as dotted ones."""
    leaves: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            leaves |= flat(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves
