"""What is compared takes turns: the same calls for each, in an order that changes."""

from __future__ import annotations

import time

import pytest

from deepset_bench.config import experiment
from deepset_bench.training.setup import prepare
from deepset_bench.training.step import SingleOptimisation
from deepset_bench.training.turns import interleaved, stepping
from tests.training.tiny import asked


def called(**options) -> tuple[list[tuple[str, int]], dict[str, int]]:
    """Every call in its order, and how many rounds counted."""
    calls: list[tuple[str, int]] = []
    functions = {name: lambda n, name=name: calls.append((name, n)) for name in "abcd"}
    found = interleaved(functions, **options)
    return calls, {name: len(values) for name, values in found.seconds.items()}


def test_every_function_has_its_turn_in_every_round():
    calls, counted = called(rounds=4, warm_up=2, calls=2, untimed=1)
    assert counted == dict.fromkeys("abcd", 4)
    rounds = [calls[start : start + 12] for start in range(0, len(calls), 12)]
    assert len(rounds) == 6
    for turn, those in enumerate(rounds):
        numbers = [3 * turn, 3 * turn + 1, 3 * turn + 2]
        each = [those[start : start + 3] for start in range(0, 12, 3)]
        assert sorted(name for (name, _), *_ in each) == list("abcd")
        for turns in each:
            assert [n for _, n in turns] == numbers
            assert len({name for name, _ in turns}) == 1


def test_the_order_changes_and_follows_from_the_seed():
    def order(seed: int) -> list[str]:
        return [name for name, _ in called(rounds=6, warm_up=0, seed=seed)[0]]

    rounds = {tuple(order(0)[start : start + 4]) for start in range(0, 24, 4)}
    assert len(rounds) > 1
    assert order(0) == order(0)
    assert order(0) != order(1)


def test_the_clock_stops_when_the_device_is_done():
    told: list[str] = []
    interleaved(
        {"a": lambda _: told.append("call")}, 1, 0, untimed=1, finish=lambda: told.append("done")
    )
    assert told == ["call", "done", "call", "done"]


def test_waiting_is_told_from_computing():
    slept = interleaved({"a": lambda _: time.sleep(0.02)}, 3, 0).waited
    assert slept > 0.5


@pytest.mark.usefixtures("tiny")
def test_steps_of_the_same_number_are_on_the_same_frames():
    config = experiment(asked("trainer.learning_rate=1e-9")).config

    def errors(*numbers: int) -> list[float]:
        setup = prepare(config)
        optimisation = SingleOptimisation(setup, config, compile_steps=False, say=print)
        step = stepping(optimisation, config.trainer, setup.n_train)
        return [float(step(number)[0, 2]) for number in numbers]

    first, again, other = errors(0, 0, 1)
    assert again == pytest.approx(first, rel=1e-4)
    assert other != pytest.approx(first, rel=1e-4)
    assert errors(0, 1) == pytest.approx([first, other], rel=1e-4)
