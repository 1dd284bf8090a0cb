"""The training loop, top to bottom, for one run or several stacked ones."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from deepset_bench.errors import UserError
from deepset_bench.runs import RunFolder
from deepset_bench.schema import Config
from deepset_bench.stamps import REGISTERED, STARTED, Stamp
from deepset_bench.training import checkpoint, divergence, stopping
from deepset_bench.training.computing import Way
from deepset_bench.training.schedule import LearningRate
from deepset_bench.training.selecting import rank
from deepset_bench.training.setup import Setup
from deepset_bench.training.step import Measured, Optimisation

CHECKPOINT_SECONDS = 10.0
"""At most so much training is lost when a run is killed; what is repeated comes out the same."""


@dataclass(frozen=True)
class Epoch:
    """One row of metrics.csv. Losses are dimensionless; `seconds` is the time since the start."""

    epoch: int
    learning_rate: float
    train_loss: float
    train_energy_mae_ev: float
    train_forces_mae_ev_per_angstrom: float
    val_loss: float
    val_energy_mae_ev: float
    val_forces_mae_ev_per_angstrom: float
    seconds: float


@dataclass
class Member:
    """One run in the loop.

    Attributes:
        on_epoch: called after each epoch, before its checkpoint is written.
        epochs_done: by earlier calls, then by this one.
        lowest: what the best epoch was chosen by, see `selecting`.
        best: what best.pt is to hold, until it is written.
        seconds: training time so far.
        share: of it, what is this run's where several are stacked, in seconds.
        diverged: why the run ended early; empty while it goes on.
        say: takes a line for log.txt and whoever watches.
        computed: how its epochs were and are computed, see `computing`.
        registered: the stamps that it carries.
        started: when its first epoch began, in UTC; empty where an earlier version trained it.
    """

    setup: Setup
    config: Config
    folder: RunFolder
    identity: str
    on_epoch: Callable[[Epoch], None]
    epochs_done: int = 0
    lowest: float = math.inf
    best: dict[str, Any] | None = None
    seconds: float = 0.0
    share: float = 0.0
    diverged: str = ""
    say: Callable[[str], None] = lambda _: None
    computed: list[Way] = field(default_factory=list)
    registered: list[Stamp] = field(default_factory=list)
    started: str = ""


def fit(members: Sequence[Member], optimisation: Optimisation) -> None:
    """Train to the last epoch, from the last checkpoint if there is one.

    Every run's folder holds `last.pt`, from which training goes on bit for bit as if it had not
    stopped (on the CPU, with the same number of threads), and `best.pt`, the parameters of the
    epoch that `trainer.select` chooses. They are written at the end of the first epoch that finds
    them `CHECKPOINT_SECONDS` old, of the last, and of the one in which the process is asked to stop
    (see `stopping`); those of several runs, for all of them or for none. A run whose training or
    validation loss is NaN or infinite is marked as diverged and left alone; it keeps its place
    among the others, whose rounding could depend on how many they are.

    Args:
        members: runs of one variant at the same epoch.
        optimisation: their parameters.

    Raises:
        Stopped: the process was asked to stop before the last epoch.
    """
    trainer, device = members[0].config.trainer, members[0].setup.device
    n_train = members[0].setup.n_train
    steps = trainer.steps_an_epoch(n_train)
    rates = [LearningRate(trainer, total_steps=steps * trainer.epochs) for _ in members]
    for run, member in enumerate(members):
        if member.folder.last.exists():
            saved = checkpoint.load(member.folder.last, device)
            try:
                checkpoint.check_parameters(saved["potential"], member.setup.potential)
                checkpoint.check_moments(saved, member.setup.potential)
                optimisation.restore(run, saved)
                rates[run].restore(saved["rate"])
                member.share = float(saved.get("share", saved["seconds"]))
            except (LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
                reason = " ".join(str(error).split())[:100]
                raise UserError(
                    f"{member.folder.last}: a checkpoint of an earlier version ({reason}); "
                    "use --fresh"
                ) from None
            member.epochs_done, member.lowest = saved["epochs"], saved["lowest"]
            member.seconds = saved["seconds"]

    mark, written = time.perf_counter(), -math.inf
    started = mark - max(member.seconds for member in members)
    if stopping.asked():
        raise stopping.Stopped
    if all(member.diverged for member in members):
        return
    for epoch in range(epochs_behind(members), trainer.epochs):
        torch.manual_seed(_seed(members[0].config.seed, epoch))  # dropout
        sums = torch.zeros(len(members), 3, device=device)
        finite = torch.zeros(len(members), device=device)  # steps before the first that is not
        orders = [_batches(member, epoch) for member in members]
        for number, frames in enumerate(zip(*orders, strict=True)):
            now = [rate.at(epoch * steps + number) for rate in rates]
            sums += optimisation.train(frames, now)
            finite += sums.isfinite().all(1)
        trained = [Measured(*row) for row in (sums / n_train).tolist()]
        validated = optimisation.validate()
        before, mark = mark, time.perf_counter()
        stop = stopping.asked() and epoch + 1 < trainer.epochs
        due = mark - written >= CHECKPOINT_SECONDS or epoch + 1 == trainer.epochs or stop
        for member in members if due else ():
            member.folder.check_kept()
        for run, (member, train, val) in enumerate(zip(members, trained, validated, strict=True)):
            member.diverged = member.diverged or divergence.reason(
                member.setup,
                member.config,
                epoch,
                train,
                val,
                int(finite[run]),
                lambda run=run: optimisation.state(run)["potential"],  # type: ignore[misc]
            )
            if member.diverged:
                continue
            rates[run].epoch_ended(val.loss)
            member.epochs_done, member.seconds = epoch + 1, mark - started
            member.share += (mark - before) / len(members)
            ranked = rank(trainer, member.setup.baselines["val"], epoch + 1, val)
            if ranked < member.lowest:
                member.lowest = ranked
                found = optimisation.state(run)["potential"]
                member.best = {
                    "potential": {name: t.clone() for name, t in found.items()},
                    "reference": checkpoint.pack_reference(member.setup.reference),
                    "epochs": epoch + 1,
                    "run": member.identity,
                }
            if due and member.best is not None:
                checkpoint.save(member.folder.best, member.best)
                member.best = None
            member.on_epoch(
                Epoch(
                    epoch + 1,
                    now[run],
                    train.loss,
                    train.energy_mae,
                    train.forces_mae,
                    val.loss,
                    val.energy_mae,
                    val.forces_mae,
                    member.seconds,
                )
            )
        if all(member.diverged for member in members):
            break
        if due:
            last = {}
            for run, (member, rate) in enumerate(zip(members, rates, strict=True)):
                member.folder.sync_metrics()
                last[member.folder.last] = _last(member, optimisation.state(run), rate)
            checkpoint.save_together(last)
            written = time.perf_counter()
        if stop:
            for member in members:
                member.say(f"stopped on request after epoch {epoch + 1}")
            raise stopping.Stopped


def epochs_behind(members: Sequence[Member]) -> int:
    """Epochs that a stack has behind it; one that has diverged has no part in the later ones."""
    return max(member.epochs_done for member in members)


def _last(member: Member, state: dict[str, Any], rate: LearningRate) -> dict[str, Any]:
    """What last.pt holds: all that training goes on from."""
    if member.diverged:  # what takes its place is computed, and never looked at
        state = tree_map(lambda of: of.nan_to_num() if isinstance(of, Tensor) else of, state)
    return {
        **state,
        "rate": rate.state(),
        "epochs": member.epochs_done,
        "lowest": member.lowest,
        "seconds": member.seconds,
        "share": member.share,
        "computed": member.computed,
        "diverged": member.diverged,
        REGISTERED: member.registered,
        STARTED: member.started,
        "run": member.identity,
    }


def _seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _batches(member: Member, epoch: int) -> Iterator[Tensor]:
    """The training frames in the order of this seed and epoch, a batch at a time."""
    labels = member.setup.parts["train"]
    n_train = len(labels)
    order = divergence.order_of(member.config.seed, epoch, n_train)
    on_device = torch.from_numpy(order).to(member.setup.device)
    yield from labels.ahead(on_device.split(member.config.trainer.batch_size))
