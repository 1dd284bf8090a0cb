"""A run with more epochs than one that is done goes on from it, where that changes no number."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace

import torch

from deepset_bench.config import Experiment
from deepset_bench.files import atomic_write
from deepset_bench.runs import RunFolder
from deepset_bench.training import checkpoint
from deepset_bench.training.schedule import agree


def begin_where_shorter_ended(
    experiment: Experiment, checksums: Mapping[str, str], folder: RunFolder
) -> str:
    """Give a run the checkpoints and epochs of one that differs from it in fewer epochs alone.

    What it then trains is bit for bit what it would have been from its first epoch on. So nothing
    is given to a run whose learning rate depends on how many epochs are to come.

    Args:
        experiment: the run.
        checksums: of its data.
        folder: its own, held by this process, without a checkpoint.

    Returns:
        A line to say; empty where there is no shorter run.

    Raises:
        UserError: a checkpoint of the shorter run is damaged.
    """
    config, data = experiment.config, "+".join(checksums.values())
    shorter = {}
    for path in folder.path.parents[1].glob(f"*/{folder.path.name}"):
        result = RunFolder(path).result()
        epochs = int(result["epochs"]) if result.get("status") == "done" else 0
        if 0 < epochs < config.trainer.epochs:
            trainer = replace(config.trainer, epochs=epochs)
            same = replace(experiment, config=replace(config, trainer=trainer))
            if RunFolder(path).identity() == same.identity(data):
                shorter[epochs] = RunFolder(path)
    if not shorter:
        return ""
    epochs = max(shorter)
    other = shorter[epochs]
    steps = config.trainer.steps_an_epoch(config.data.train_size)  # of split=molecule, at most
    if not agree(replace(config.trainer, epochs=epochs), config.trainer, steps):
        return (
            f"begun from the start: {other.path} has another number of epochs, over which its "
            "learning rate falls, so this run does not go on from it"
        )
    if not all(path.exists() for path in (other.last, other.best, other.metrics, other.split)):
        return f"begun from the start: {other.path} does not hold its checkpoints any more"
    _copy(other, folder, experiment.identity(data))
    return f"begun where {other.path} ended, after epoch {epochs}"


def _copy(source: RunFolder, target: RunFolder, identity: str) -> None:
    """Everything that a run goes on from, as a run of this identity; last.pt last."""
    cpu = torch.device("cpu")
    last, best = checkpoint.load_last(source.last, cpu), checkpoint.load_best(source.best, cpu)
    for name in ("split", "metrics"):
        with getattr(source, name).open("rb") as read, atomic_write(getattr(target, name)) as write:
            shutil.copyfileobj(read, write)
    checkpoint.save(target.best, best | {"run": identity})
    checkpoint.save(target.last, last | {"run": identity})
