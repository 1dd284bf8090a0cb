"""Runs that are killed go on to the bits of one that never was."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deepset_bench.holding import HELD, LOCK
from deepset_bench.runs import RunFolder
from tests.kill.forks import NONE, Ended, Fault, Forks
from tests.training.tiny import (
    DEEPSET_X,
    EVEN,
    FOREIGN,
    SCHNET,
    VISNET,
    asked,
    assert_identical,
    last,
    metrics,
    untimed,
)

SHORT = "trainer.epochs=3"
REPORT = ("condition=report", "trainer=report", "gnn=gat", "trainer.schedule.patience=0")
STACK = ("stack=3", EVEN)
DIVERGING = (*STACK, "trainer.learning_rate=1e18")
EAGER = {
    "baseline": (),
    "report": REPORT,  # its energy loss is a moving average, and it drops out
    "dropout": ("gnn=gat",),
    "DeepSet X": DEEPSET_X,
    "stacked": STACK,
    "stacked, dropout": (*STACK, "gnn=gat"),
    "stacked, DeepSet X": (*STACK, *DEEPSET_X),
    "stacked, report": (*STACK, "condition=report", "trainer=report", "condition.edges=all"),
    "SchNet": SCHNET,
    "ViSNet": VISNET,
} | FOREIGN
COMPILED = {
    f"compiled, {name}": (*EAGER[name], "compile=true")
    for name in ("baseline", "report", "dropout", "DeepSet X", "stacked", "SchNet")
}
NEEDS = dict.fromkeys(FOREIGN, ("torchmdnet", "graph_pes", "e3nn"))
"""Name -> packages that only an extra installs."""
KINDS = ("start-up", "step", "checkpoint", "row", "final evaluation", "any time")


@dataclass(frozen=True)
class Case:
    """A command, where it trained undisturbed, and the calls that it made there."""

    words: Sequence[str]
    whole: Path
    calls: Sequence[str]
    forks: Forks

    def train(self, place: Path, fault: Fault = NONE, seconds: float | None = None) -> Ended:
        """The command in another folder."""
        place.mkdir(exist_ok=True)
        where = {"BENCH_RUNS": str(place / "runs")}
        return self.forks.bench(
            *self.words, below=place, fault=fault, seconds=seconds, environment=where
        )

    def moments(self, kind: str) -> list[int]:
        """The calls, from 1, at which a kill is of a kind; a step is where nothing is called."""
        of_last = [n for n, call in enumerate(self.calls, 1) if "last." in call]
        chosen = {
            "start-up": lambda n, _: n < of_last[0],
            "checkpoint": lambda _, call: "last." in call or "best." in call,
            "row": lambda n, call: "metrics.csv" in call and n > of_last[0] - 10,
            "final evaluation": lambda n, _: n > of_last[-1],
            "any time": lambda *_: True,
        }[kind]
        return [n for n, call in enumerate(self.calls, 1) if chosen(n, call)]

    def assert_same(self, place: Path) -> None:
        """Every file of every run, but for the times and what it said."""
        folders = [RunFolder(path.parent) for path in sorted(self.whole.rglob("result.json"))]
        assert folders
        for a in folders:
            b = RunFolder(place / "runs" / a.path.relative_to(self.whole / "runs"))
            assert names(a) == names(b), sorted(names(a) ^ names(b))
            for name in ("best.pt", "split.npz", "held_out.npz", "config.yaml"):
                one, other = a.path / name, b.path / name
                assert one.exists() == other.exists(), name
                assert not one.exists() or one.read_bytes() == other.read_bytes(), name
            assert metrics(a).equals(metrics(b)), "metrics.csv"
            if a.last.exists():
                assert_identical(last(a), last(b))
            assert untimed(a.result()) == untimed(b.result()), "result.json"


def names(folder: RunFolder) -> set[str]:
    """The files that a run leaves, but for those that say who has it, or had it and was killed."""
    return {path.name for path in folder.path.iterdir()} - {LOCK, HELD}


def case(forks: Forks, home: Path, overrides: Sequence[str]) -> Case:
    """Train it once, undisturbed."""
    words = ["train", *asked(SHORT, *overrides)]
    home.mkdir(parents=True)
    found = Case(words, home / "whole", (), forks)
    ended = found.train(found.whole)
    assert ended.status == 0, ended.err
    return Case(words, found.whole, ended.calls, forks)


def killed_in_turn(case: Case, place: Path, seed: int) -> int:
    """Kill it at start-up, in a checkpoint, at a row and at its end, then let it go on.

    Each process goes on from what the one before left, so a later one may end before its moment.

    Returns:
        How often it was killed.
    """
    generator = random.Random(seed)
    moments = [
        Fault(generator.choice(case.moments("start-up"))),
        Fault(generator.randint(1, 10), part="last."),
        Fault(generator.randint(1, 2), kinds="w", part="metrics.csv"),
        Fault(generator.randint(1, 4), part="held_out"),
        Fault(generator.randint(1, 4), part="result.json"),
    ]
    kills = [case.train(place, fault).status == -9 for fault in moments]
    ended = case.train(place)
    assert ended.status == 0, ended.err
    case.assert_same(place)
    return sum(kills)


def killed_once(case: Case, home: Path, kind: str, count: int, seed: int) -> Iterator[str]:
    """Kill it at so many moments of a kind, each in a folder of its own; yields what differed."""
    generator = random.Random(f"{seed} {kind}")
    seconds = float(metrics_seconds(case))
    for number in range(count):
        place = home / f"{kind}-{number}"
        if kind == "step":
            fault, after = NONE, generator.uniform(0.2, 1.0) * seconds + 0.2
        else:
            fault, after = Fault(generator.choice(case.moments(kind))), None
        case.train(place, fault, after)
        try:
            ended = case.train(place)
            assert ended.status == 0, ended.err
            case.assert_same(place)
            yield ""
        except AssertionError as error:
            yield f"{kind}, {fault}, {after}: {' '.join(str(error).split())[:300]}"


def metrics_seconds(case: Case) -> float:
    """Seconds that its epochs took."""
    (first, *_) = sorted(case.whole.rglob("metrics.csv"))
    return float(first.read_text().splitlines()[-1].rsplit(",", 1)[-1])
