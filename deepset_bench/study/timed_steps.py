"""The training steps of many rows, prepared as their runs would be, taking turns in one process."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import torch

from deepset_bench.config import Experiment
from deepset_bench.errors import UserError
from deepset_bench.processor import model_name
from deepset_bench.schema import Config
from deepset_bench.study.collect import named
from deepset_bench.study.times import TimedStep, Timing, identity_of
from deepset_bench.surroundings import versions
from deepset_bench.training import computing
from deepset_bench.training.compiled import is_compiled
from deepset_bench.training.setup import choose_device, prepare
from deepset_bench.training.step import SingleOptimisation
from deepset_bench.training.turns import interleaved, stepping

T = TypeVar("T")

WARM_UP, UNTIMED, ORDER_SEED = 5, 1, 0


@dataclass(frozen=True)
class How:
    """How steps are computed, and how often.

    Attributes:
        rounds: that count.
        steps: of a turn that count.
        threads: None for what the rows ask for, else one, as a run of a sweep on the CPU has.
        device: None for what the rows ask for.
        compiled: None for what each run would do.
    """

    rounds: int
    steps: int
    threads: int | None = None
    device: str | None = None
    compiled: bool | None = None

    def of(self, config: Config) -> Config:
        """A configuration, computed so."""
        compiled = config.compile if self.compiled is None else self.compiled
        threads = self.threads or config.threads or 1
        device = choose_device(self.device or config.device).type
        return replace(config, seed=0, compile=compiled, threads=threads, device=device)


class _Step:
    """The training step of a row; `compiled` is known once it was called."""

    def __init__(self, config: Config, say: Callable[[str], None]) -> None:
        setup = prepare(config)
        if len(config.network.traits["forms"]) > 1:
            config = replace(config, form=setup.potential.form)
        self.config = config
        self.compiled = is_compiled(config, say)
        optimisation = SingleOptimisation(
            setup, config, compile_steps=self.compiled, say=say, on_eager=self._is_eager
        )
        self.call = stepping(optimisation, config.trainer, setup.n_train)
        self.steps_a_run = config.trainer.steps_an_epoch(setup.n_train) * config.trainer.epochs

    def _is_eager(self) -> None:
        self.compiled = False


def timed(
    name: str,
    rows: Sequence[tuple[str, str, Experiment]],
    how: How,
    *,
    say: Callable[[str], None],
    watch: Callable[[str], None],
) -> Timing:
    """Measure; rows that are the same step take one turn.

    Args:
        name: of what they are rows of.
        rows: label, condition and what it is; of those that are the same step, the first names it.
        how: they are computed.
        say: takes what a person has to know, a line each.
        watch: takes what is being done now.

    Raises:
        UserError: rows on several devices or with several numbers of threads; one that cannot be
            prepared.
    """
    each: dict[str, tuple[str, str, Experiment]] = {}
    configs: dict[str, Config] = {}
    devices, several = set[str](), set[int]()
    for row in rows:
        config, identity = how.of(row[2].config), identity_of(row[2])
        devices.add(config.device)
        several.add(config.threads or 1)
        each.setdefault(identity, row)
        configs.setdefault(identity, config)
    device, threads = torch.device(_same("device", devices)), _same("threads", several)
    computing.begin(threads)
    steps = {}
    for identity, (label, condition, _) in each.items():
        called = named(label, condition)
        watch(f"preparing {called}")
        steps[identity] = _Step(configs[identity], partial(_say_of, called, say))
    total = WARM_UP + how.rounds
    turns = interleaved(
        {identity: step.call for identity, step in steps.items()},
        *(how.rounds, WARM_UP, how.steps),
        untimed=UNTIMED,
        seed=ORDER_SEED,
        finish=_finish(device),
        watch=lambda done: watch(f"round {done} of {total}"),
    )
    on_cpu = device.type == "cpu"
    return Timing(
        name=name,
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
        processor=model_name(),
        cores=os.cpu_count() or 1,
        system=computing.machine(),
        device="cpu" if on_cpu else _called(device),
        threads=threads,
        versions=versions(),
        steps_a_turn=how.steps,
        warm_up=WARM_UP,
        order_seed=ORDER_SEED,
        waited=round(turns.waited, 4) if on_cpu else None,
        steps=tuple(
            TimedStep(
                *(label, condition, one.config.data.name, one.variant, identity),
                form=step.config.form,
                compiled=step.compiled,
                steps_a_run=step.steps_a_run,
                ms=tuple(float(f"{1e3 * value:.5g}") for value in turns.seconds[identity]),
            )
            for identity, (label, condition, one) in each.items()
            for step in [steps[identity]]
        ),
    )


def _say_of(row: str, say: Callable[[str], None], line: str) -> None:
    say(f"{row}: {line}")


def _same(what: str, values: set[T]) -> T:
    """The one value that all rows have."""
    if len(values) > 1:
        those = ", ".join(sorted(map(str, values)))
        raise UserError(f"rows ask for several {what} ({those}); give one with --{what}")
    return values.pop()


def _finish(device: torch.device) -> Callable[[], object]:
    """Waits for the device."""
    if device.type == "cuda":
        return partial(torch.cuda.synchronize, device)
    return torch.mps.synchronize if device.type == "mps" else lambda: None


def _called(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
