"""Everything a run needs, made before the first step so that mistakes show at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from ase.data import chemical_symbols
from ase.units import Bohr
from torch import Tensor, nn

from deepset_bench.checks.cheap import Verdict, cheap_checks
from deepset_bench.data import catalogue
from deepset_bench.data.splits import Split, split
from deepset_bench.data.tasks import divide
from deepset_bench.errors import UserError, chosen
from deepset_bench.model.batches import Shape
from deepset_bench.model.buckets import Buckets, table_shapes
from deepset_bench.model.build import build_model
from deepset_bench.model.energy_reference import EnergyReference, fit_reference
from deepset_bench.model.labelled import (
    Labelled,
    LabelledFrames,
    LabelledTables,
    are_kept,
    counts_of,
)
from deepset_bench.model.potential import Potential
from deepset_bench.molecules.frames import FloatArray, Frames
from deepset_bench.molecules.neighbours import neighbour_pairs
from deepset_bench.molecules.selected import Selected
from deepset_bench.molecules.selected import part as part_of
from deepset_bench.schema import MAX_ATOMIC_NUMBER, Config
from deepset_bench.scoring.averages import root_mean_square
from deepset_bench.scoring.measure import measure_nothing
from deepset_bench.scoring.metrics import trivial_errors
from deepset_bench.scoring.scored import Labels
from deepset_bench.scoring.table import metrics
from deepset_bench.scoring.unseen import Scorer
from deepset_bench.training.free_atoms import free_atoms
from deepset_bench.training.held_out import HeldOut
from deepset_bench.training.loss import Loss, make_loss
from deepset_bench.training.start import Start

AT_ONCE = 100
"""Frames that are looked at together where the first of them mostly tell."""
_CPU = torch.device("cpu")
_VERDICTS: dict[tuple[str, str], Verdict] = {}
"""By the checksum of a set and the labels."""


@dataclass
class Setup:
    """A run about to start.

    Attributes:
        parts: labelled frames of `train`, `val`, `test` and, with a task, `ood`, on the device.
        frames: those of the parts but `train`, in the same order.
        baselines: what predicting the training mean energy and zero force scores, for `val`, `test`
            and `ood`; for `all` frames that these were drawn from, errors of their own mean.
        scorers: with a task, `test` and `ood` as they are scored in detail.
        held_out: what else is scored once the run is trained; None where nothing is left.
        label_floor: eV/angstrom, what the true forces would score against the labels of val and
            test; None where the data do not hold both.
        verdict: what the cheap checks say of the data set.
        notes: what else a person has to know before it starts, one line each.
    """

    potential: Potential
    loss: Loss
    reference: EnergyReference
    split: Split
    parts: dict[str, Labelled]
    frames: dict[str, Frames]
    baselines: dict[str, dict[str, Any]]
    scorers: dict[str, Scorer]
    held_out: HeldOut | None
    label_floor: float | None
    verdict: Verdict
    notes: list[str]
    device: torch.device

    @property
    def n_train(self) -> int:
        """Training frames; with `data.split=molecule` there may be fewer than were asked for."""
        return len(self.parts["train"])


def choose_device(name: str) -> torch.device:
    """The device of a configuration; `auto` takes CUDA, else MPS, else the CPU."""
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind, there in available.items() if there)
    if not chosen("device", name, available):
        raise UserError(f"device={name} is not available on this machine; use device=auto")
    return torch.device(name)


def evaluation_batch(config: Config) -> int:
    """Frames evaluated at once: many, except where the report's result depends on how many."""
    batch_size = config.trainer.batch_size
    by_batch = config.every_second or config.condition.energy_loss == "smoothed"
    # The edge by edge form keeps a vector for each pair and expert.
    return batch_size if by_batch or config.form == "reference" else max(batch_size, 100)


def build_potential(config: Config, species: Tensor, scale: float) -> Potential:
    """The potential of a configuration, initialised like its model.

    Args:
        species: (s,) atomic numbers that occur in training.
        scale: eV; the spread of the training energies about the reference.
    """
    force_units = {"consistent": 1.0, "mixed": 1.0 / Bohr}
    model = build_model(config)
    if int(species.max()) > MAX_ATOMIC_NUMBER:
        _embed_every_element(model)
    return Potential(
        model,
        species=species,
        scale=scale,
        force_unit=chosen("condition.units", config.condition.units, force_units),
        form=config.form,
    )


def _embed_every_element(model: nn.Module) -> None:
    """Let tables of embeddings go on behind MAX_ATOMIC_NUMBER, their rows so far as they are.

    Only where it is needed: the rows are drawn, and others would come after other numbers.
    """
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Embedding) and child.num_embeddings == MAX_ATOMIC_NUMBER + 1:
                whole = nn.Embedding(len(chemical_symbols), child.embedding_dim, child.padding_idx)
                with torch.no_grad():
                    whole.weight[: child.num_embeddings] = child.weight
                setattr(module, name, whole)


def label(
    frames: Frames | Selected,
    energy: FloatArray,
    shapes: tuple[Shape, ...],
    config: Config,
    potential: Potential,
    *,
    stress: bool = False,
    device: torch.device = _CPU,
) -> Labelled:
    """Frames with their energies relative to the reference, prepared for the potential.

    `stress` says whether it is to be learned, which all parts of a run agree on; `device` where the
    potential is.

    What does not fit into memory is prepared when it is asked for; see `labelled`.
    """
    counts, labels = counts_of(frames, shapes), config.condition.labels

    periodic, several = bool(frames.pbc.any()), len(counts) > 1

    def make(some: Frames, device: torch.device, *, again: bool = False) -> tuple[Buckets, Tensor]:
        tables = Buckets.build(
            some,
            config.cutoff,
            shapes,
            every_second=config.every_second,
            periodic=periodic,
            several=several,
        )
        forces = torch.from_numpy(some.labelled_forces(labels).astype(np.float32))
        prepare = partial(potential.prepare, again=again)
        return tables.to(device).change(prepare), forces.to(device)

    energies = torch.from_numpy(energy).float()
    wanted = torch.from_numpy(frames.labelled_stress().astype(np.float32)) if stress else None
    if isinstance(frames, Selected) or not are_kept(counts, choose_device(config.device).type):
        return LabelledFrames(frames, energies, make, counts, wanted).to(device)
    tables, forces = make(frames, device, again=not several)
    return LabelledTables(tables, energies, tables.by_row(forces), wanted).to(device)


def prepare(config: Config, start: Start | None = None) -> Setup:
    """Read, split, fit the reference, build the potential, make the tables.

    Args:
        config: of the run.
        start: weights to start from, and the reference to keep where the configuration says so.

    Raises:
        UserError: unknown or damaged data, sizes that do not fit, an unavailable device.
    """
    device = choose_device(config.device)
    data = config.data
    whole = divide(data.name, config.task)
    frames, sizes = whole.frames, (data.train_size, data.val_size, data.test_size)
    division = split(
        frames, data.split, *sizes, config.drawing_seed, whole.pool, data.held_out_size
    )
    division = division.within(whole.pool, whole.ood)
    train = part_of(frames, division.train)
    scored = {"val": frames.select(division.val), "test": frames.select(division.test)}
    if len(whole.ood):
        scored["ood"] = whole.other.select(whole.ood)
    if len(whole.val_unseen):
        scored["val_unseen"] = frames.select(whole.val_unseen)
    pool = frames if len(whole.pool) == len(frames) else part_of(frames, whole.pool)
    labels = config.condition.labels
    atoms = free_atoms(config, whole.frames, train.species)
    reference = fit_reference(config.reference.kind, train, atoms.energies)
    keep = chosen("init_reference", config.init_reference, {"refit": False, "kept": True})
    if start is not None:
        start.check_elements(train)
        reference = start.reference if keep else reference
    residual = train.energy - reference(train)
    spread = float(residual.std()) or 1.0  # one frame, or frames of one energy: 1 eV
    forces_rms = trivial_errors(train, residual, labels).forces_rmse_ev_per_angstrom or 1.0
    all_energies = pool.energy - reference(pool)
    all_energies -= all_energies.mean()
    of_all = trivial_errors(pool, all_energies, labels)
    if math.isnan(of_all.forces_mae_ev_per_angstrom):
        _refuse_without_forces(pool)
    stress = train.labelled_stress()
    stress_rms = root_mean_square(stress[~np.isnan(stress)]) if np.isfinite(stress).any() else 1.0
    learn_stress = frames.stress is not None and config.trainer.stress_weight > 0

    torch.manual_seed(config.seed)
    potential = build_potential(config, torch.from_numpy(train.species.copy()), spread)
    if start is not None:
        start.give(potential)
    # Of the whole set, so that every part and every seed has tables of the same shapes.
    drawn = config.cutoff, config.trainer.batch_size, device.type
    shapes = dict.fromkeys(("train", *scored), table_shapes(pool, *drawn))

    def scorer(part: Frames, *, each: bool = True) -> Scorer:
        return Scorer.after(train, part, config.reference.kind, labels, each=each)

    others = [name for name in ("ood", "val_unseen") if name in scored]
    shapes |= {name: table_shapes(scored[name], *drawn) for name in others}
    scorers: dict[str, Scorer] = {name: scorer(scored[name]) for name in others}
    if others:  # held_out mostly has all frames of test: each molecule is scored there, once
        again = np.isin(division.test, division.held_out).all()
        scorers["test"] = scorer(scored["test"], each=not again)
    relative = {"train": residual} | {n: p.energy - reference(p) for n, p in scored.items()}
    parts = {
        name: label(part, relative[name], shapes[name], config, potential, stress=learn_stress)
        for name, part in {"train": train, **scored}.items()
    }
    fitted = chosen("pairs", config.pairs, {"fitted": True, "none": False})
    _check_neighbours(train, parts["train"], config.cutoff)
    if start is None and fitted and hasattr(potential.model, "fit_before_training"):
        cast("Any", potential.model).fit_before_training(potential, parts["train"])

    of_frames = [metric for metric in metrics() if not metric.of_run]

    mean = float(residual.mean())

    def know_nothing(name: str, part: Frames) -> dict[str, Any]:
        truth = Labels(relative[name], part.labelled_forces(labels), part)
        return measure_nothing(of_frames, mean, truth, config, scorers.get(name))

    def label_held_out(part: Frames) -> Labelled:
        energy = part.energy - reference(part)
        return label(part, energy, shapes["train"], config, potential, device=device)

    held_out = None
    if len(division.held_out):
        rest, detailed = Selected(frames, division.held_out), scorer if scorers else lambda _: None
        held_out = HeldOut(rest, label_held_out, detailed, mean)

    both = Frames.concatenate([scored["val"], scored["test"]])
    floor = None
    if both.bias_forces is not None:
        floor = float(np.abs(both.labelled_forces(labels) - both.forces).mean())
    return Setup(
        potential=potential.to(device),
        loss=make_loss(
            config, spread, forces_rms, float(train.n_atoms.mean()), stress_rms or 1.0
        ).to(device),
        reference=reference,
        split=division,
        parts={name: part.to(device) for name, part in parts.items()},
        frames=scored,
        baselines={
            **{name: know_nothing(name, part) for name, part in scored.items()},
            "all": of_all.as_dict(),
        },
        scorers=scorers,
        held_out=held_out,
        label_floor=floor,
        verdict=_verdict(data.name, labels, whole.frames),
        notes=[atoms.note] if atoms.note else [],
        device=device,
    )


def _refuse_without_forces(pool: Frames | Selected) -> None:
    """Raise a UserError that names the first frame without forces."""
    for some in pool.pieces():
        lacks = ~some.has_forces
        if lacks.any():
            m = int(np.argmax(lacks))
            raise UserError(
                f"{some.called(m)} has an energy, but no forces: such frames can "
                "be scored (task.data=NAME, bench evaluate RUN data=NAME), not trained on; "
                "bench data relabel computes forces"
            )


def look_at(config: Config) -> None:
    """Look at the data set of a configuration, for the runs on it that this process starts.

    Raises:
        UserError: unknown or damaged data.
    """
    name, labels = config.data.name, config.condition.labels
    if (catalogue.checksum(name), labels) not in _VERDICTS:
        _verdict(name, labels, catalogue.load(name))


def _verdict(name: str, labels: str, frames: Frames) -> Verdict:
    """What the cheap checks say, which is computed once for each version of a set."""
    key = catalogue.checksum(name), labels
    if key not in _VERDICTS:
        _VERDICTS[key] = cheap_checks(frames, labels)
    return _VERDICTS[key]


def _check_neighbours(frames: Frames | Selected, labels: Labelled, cutoff: float) -> None:
    """Refuse a cutoff within which no atom sees another: there would be nothing to learn from."""
    several = np.flatnonzero((frames.n_atoms > 1) | frames.pbc.any(axis=1))
    if not len(several) or any(part.tables.n_pairs.any() for part in labels.parts(AT_ONCE)):
        return
    first, reach = frames.select(several[:1]), cutoff
    while not len((near := neighbour_pairs(first, reach)).i):
        reach *= 2
    shortest = np.linalg.norm(near.vectors(first.positions), axis=1).min()
    raise UserError(
        f"cutoff={cutoff:g} angstrom leaves every atom of the training frames without a neighbour; "
        f"in the first of them the nearest two are {shortest:.3f} angstrom apart"
    )
