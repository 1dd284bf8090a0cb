"""A set of frames of very different sizes against what each size takes alone."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.epoch import peak_memory_mib
from benchmarks.tables import Table
from benchmarks.timing import in_fresh_process, of_threads
from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.model.labelled import LabelledTables
from deepset_bench.molecules.frames import Frames
from deepset_bench.training.compiled import wants_compiling
from deepset_bench.training.computing import begin
from deepset_bench.training.setup import prepare
from deepset_bench.training.step import SingleOptimisation
from deepset_bench.training.turns import interleaved

WATERS, CLUSTERS = 1200, 4
PARTS = {"waters": (1000, 100, 100), "clusters": (2, 1, 1), "both": (1002, 101, 101)}
"""Frames to train, validate and test on."""
SEED = 25
"""Of a split of `both` that trains on two clusters."""


def water_cluster(molecules: int, seed: int) -> Frames:
    """Bent triatomics on a cubic grid at the density of water, each atom a little off its place."""
    rng = np.random.default_rng(seed)
    water = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
    side = int(np.ceil(molecules ** (1 / 3) - 1e-9))
    cells = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    turns = [np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(molecules)]
    copies = [water @ turn + 3.1 * cell for turn, cell in zip(turns, cells, strict=False)]
    positions = np.concatenate(copies)
    positions += rng.normal(0, 0.05, positions.shape)
    n = len(positions)
    return Frames(
        numbers=np.tile([8, 1, 1], molecules),
        positions=positions,
        n_atoms=np.array([n]),
        energy=rng.normal(size=1),
        forces=rng.normal(size=(n, 3)),  # what is learned takes no time
        bias_forces=None,
        molecule=np.array([f"water {molecules}"]),
        index=np.array([seed]),
    )


@contextmanager
def registered() -> Iterator[None]:
    """The three sets, for a while."""
    waters = Frames.concatenate(water_cluster(1, seed) for seed in range(WATERS))
    clusters = Frames.concatenate(water_cluster(64, seed) for seed in range(CLUSTERS))
    sets = {"waters": waters, "clusters": clusters}
    sets["both"] = Frames.concatenate([waters, clusters])
    with tempfile.TemporaryDirectory() as home, patch.dict(os.environ, BENCH_DATA=home):
        for name, frames in sets.items():
            catalogue.register(name, frames, {"method": "none"})
        yield


def epoch_of(name: str, compile_steps: bool) -> Callable[[int], None]:
    """An epoch of training on one of the sets, and its validation."""
    sizes = zip(("train", "val", "test"), PARTS[name], strict=True)
    given = [f"data.{part}_size={size}" for part, size in sizes]
    given += ["trainer.batch_size=20", f"compile={str(compile_steps).lower()}", f"seed={SEED}"]
    config = experiment([f"data={name}", "device=cpu", *given]).config
    setup = prepare(config)
    train = setup.parts["train"]
    assert isinstance(train, LabelledTables)
    assert int((train.tables.n_atoms > 3).sum()) == (0 if name == "waters" else 2)
    step = SingleOptimisation(setup, config, compile_steps=wants_compiling(config), say=_say)

    def epoch(number: int) -> None:
        order = np.random.default_rng(number).permutation(len(train))
        for frames in torch.from_numpy(order).split(config.trainer.batch_size):
            step.train([frames], [config.trainer.learning_rate])
        step.validate()

    return epoch


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def memory(name: str, threads: int) -> float:
    """MiB at the most while an epoch is trained, from the start of Python on."""
    begin(threads)
    with registered():
        epoch_of(name, compile_steps=False)(0)
    return peak_memory_mib()


def measure(threads: int, repeats: int) -> list[Table]:
    """Seconds of an epoch, as it is and compiled, and largest memory."""
    # First, because a process starts with the peak of the one that started it.
    most = {name: in_fresh_process(memory, name, threads) for name in PARTS}
    begin(threads)
    seconds = []
    few = max(repeats // 10, 3)
    with registered():
        for kind in (False, True):
            epochs = {name: epoch_of(name, kind) for name in PARTS}
            taken = interleaved(epochs, few, warm_up=1).seconds
            seconds.append({name: float(np.median(s)) for name, s in taken.items()})
    rows = [
        [name, *(f"{taken[name]:.2f}" for taken in seconds), f"{most[name]:,.0f}"] for name in PARTS
    ]
    ratios = [taken["both"] / (taken["waters"] + taken["clusters"]) for taken in seconds]
    larger = most["both"] / max(most["waters"], most["clusters"])
    rows.append(["both / alone", *(f"{ratio:.2f}" for ratio in ratios), f"{larger:.2f}"])
    return [
        Table(
            f"Frames of many sizes, {of_threads(threads)}.",
            "An epoch of 1,000 waters, of two clusters of 64, and of both in one set, 20 frames a "
            f"batch, with its validation, medians of {few}; largest resident memory, most of it "
            "Python's and torch's own. The last row compares with the sum of both times and with "
            "the larger memory.",
            ["frames", "s", "s, compiled", "MiB"],
            rows,
        )
    ]
