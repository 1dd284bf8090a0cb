"""Where each epoch is written: metrics.csv always, W&B and TensorBoard beside it when asked for."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from deepset_bench.config import Experiment
from deepset_bench.errors import UserError, require
from deepset_bench.files import atomic_write
from deepset_bench.runs import RunFolder
from deepset_bench.training.loop import Epoch

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [field.name for field in fields(Epoch)]


def read_metrics(folder: RunFolder) -> pd.DataFrame:
    """metrics.csv, one row an epoch; empty where there is none."""
    import pandas as pd  # here: training does without its 30 MB

    if not folder.metrics.exists():
        return pd.DataFrame(columns=COLUMNS)
    return pd.read_csv(folder.metrics, float_precision="round_trip")


@contextmanager
def recorders(
    folder: RunFolder, experiment: Experiment, epochs_done: int
) -> Iterator[Callable[[Epoch], None]]:
    """A function that records one epoch everywhere the configuration asks for.

    Rows of epochs that no checkpoint holds are dropped first, so that a resumed run leaves the
    same table as one that was never stopped.
    """
    # By count: a row cut short may show only the first digit of its epoch.
    lines = folder.metrics.read_text(encoding="utf-8").splitlines() if epochs_done else []
    with atomic_write(folder.metrics, "w") as stream:
        csv.writer(stream, lineterminator="\n").writerow(COLUMNS)
        stream.writelines(f"{line}\n" for line in lines[1 : epochs_done + 1])
    logger = experiment.config.logger
    with ExitStack() as stack:
        sinks: list[Callable[[Epoch], None]] = []
        stream = stack.enter_context(folder.metrics.open("a", encoding="utf-8", buffering=1))
        sinks.append(lambda row: print(*asdict(row).values(), sep=",", file=stream))
        if logger.tensorboard:
            sinks.append(stack.enter_context(_tensorboard(folder, epochs_done)))
        if logger.wandb is not None:
            sinks.append(stack.enter_context(_wandb(folder, experiment)))

        def record(row: Epoch) -> None:
            for sink in sinks:
                sink(row)

        yield record


@contextmanager
def _tensorboard(folder: RunFolder, epochs_done: int) -> Iterator[Callable[[Epoch], None]]:
    module = require("torch.utils.tensorboard", "tensorboard")
    with module.SummaryWriter(str(folder.path), purge_step=epochs_done + 1) as writer:

        def sink(row: Epoch) -> None:
            for name, value in asdict(row).items():
                if name != "epoch":
                    writer.add_scalar(name, value, row.epoch)

        yield sink


@contextmanager
def _wandb(folder: RunFolder, experiment: Experiment) -> Iterator[Callable[[Epoch], None]]:
    import wandb

    logger = experiment.config.logger
    if os.environ.get("WANDB_MODE") == "":
        del os.environ["WANDB_MODE"]  # the empty string makes wandb fail
    identity = str(folder.status()["run"])
    try:
        run = wandb.init(
            project=logger.project,
            name="/".join(folder.path.parts[-4:]),
            id=identity,
            resume="allow",
            config=asdict(experiment.config),
            mode="offline" if logger.wandb == "offline" else "online",
            dir=folder.path,
            reinit="finish_previous",
            settings=wandb.Settings(silent=True),
        )
    except (wandb.errors.Error, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"W&B: {reason}; use logger.wandb=offline or logger=csv") from None
    try:
        yield lambda row: run.log(asdict(row), step=row.epoch)
        run.finish()
    except BaseException:
        run.finish(exit_code=1)
        raise
