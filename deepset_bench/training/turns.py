"""Fair timing on a machine that may be busy: what is compared takes turns within one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from deepset_bench.molecules.frames import FloatArray
from deepset_bench.schema import Trainer
from deepset_bench.training.step import Optimisation


@dataclass(frozen=True)
class Turns:
    """What was measured.

    Attributes:
        seconds: (rounds,) of each function, the mean of the calls of its turn.
        waited: share of all these turns in which this thread did not compute. Where it computes
            whatever is called, as on a CPU, another program had the processor meanwhile.
    """

    seconds: dict[str, FloatArray]
    waited: float


def interleaved(
    functions: Mapping[str, Callable[[int], object]],
    rounds: int,
    warm_up: int = 10,
    calls: int = 1,
    *,
    untimed: int = 0,
    seed: int = 0,
    finish: Callable[[], object] = lambda: None,
    watch: Callable[[int], object] = lambda _: None,
) -> Turns:
    """Call all functions in each round, so that a busy moment meets all of them.

    Each call is given its number, the same for every function, by which it may choose its input.

    Args:
        functions: what is called.
        rounds: that count.
        warm_up: rounds before them.
        calls: in a turn, of which the mean counts: what is called again and again in its use finds
            the processor's caches as it left them.
        untimed: calls of a turn before those.
        seed: of the order of the functions, which is another one in each round.
        finish: waits until a device has done what it was asked for.
        watch: is told after each round how many there were.
    """
    order, generator = list(functions), np.random.default_rng(seed)
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    wall = own = 0.0
    for turn in range(warm_up + rounds):
        generator.shuffle(order)
        for name in order:
            number = turn * (untimed + calls)
            for call in range(untimed):
                functions[name](number + call)
            finish()
            worked, started = time.thread_time(), time.perf_counter()
            for call in range(untimed, untimed + calls):
                functions[name](number + call)
            finish()
            taken = time.perf_counter() - started
            if turn >= warm_up:
                seconds[name].append(taken / calls)
                wall, own = wall + taken, own + time.thread_time() - worked
        watch(turn + 1)
    waited = max(0.0, 1 - own / wall) if wall else 0.0
    return Turns({name: np.array(values) for name, values in seconds.items()}, waited)


def stepping(
    optimisation: Optimisation, trainer: Trainer, n_train: int, runs: int = 1
) -> Callable[[int], object]:
    """A training step of runs, on frames that follow from its number.

    Runs with as many training frames and batches as large are given the same ones.

    Args:
        optimisation: of the runs.
        trainer: of each.
        n_train: training frames of each.
        runs: how many.
    """

    def step(number: int) -> object:
        generator = torch.Generator().manual_seed(number)
        order = torch.randperm(n_train, generator=generator)
        frames = order[: trainer.batch_size]
        return optimisation.train([frames] * runs, [trainer.learning_rate] * runs)

    return step
