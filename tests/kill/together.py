"""Commands side by side on one folder, some of them killed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import yaml

from deepset_bench.runs import RunFolder
from tests import toy
from tests.kill.forks import NONE, Fault, Forks, Task
from tests.training.tiny import asked, metrics, untimed

RUN = asked("trainer.epochs=3")


def sweeps(forks: Forks, home: Path, count: int, kills: int, seeds: int, seed: int) -> None:
    """So many sweeps of the same runs at once, of which some are killed; then one more.

    Every run ends as if it had been trained by itself, and is begun as often as it has to be.
    """
    generator = random.Random(seed)
    words = ["sweep", *RUN, "--jobs", "1", "--seeds", str(seeds)]
    at = {"BENCH_RUNS": str(home / "runs")}
    for number in range(seeds):
        one = ["train", *RUN, f"seed={number}"]
        ended = forks.bench(*one, below=home, environment={"BENCH_RUNS": str(home / "alone")})
        assert ended.status == 0, ended.err
    tasks = [
        Task(words, home, environment=at, seconds=generator.uniform(2, 8) if n < kills else None)
        for n in range(count)
    ]
    for one in forks.at_once(tasks):
        assert one.status in (0, -9), one.err
        assert (one.status, one.err) in ((0, ""), (-9, "")), one.err
    ended = forks.bench(*words, below=home, environment=at)
    assert (ended.status, ended.err) == (0, "")
    folders = [RunFolder(path.parent) for path in sorted((home / "alone").rglob("result.json"))]
    assert len(folders) == seeds
    for run in folders:
        other = RunFolder(home / "runs" / run.path.relative_to(home / "alone"))
        assert metrics(run).equals(metrics(other))
        assert untimed(run.result()) == untimed(other.result())
        said = other.log.read_text()
        assert said.count(" done\n") == 1
        assert 1 <= said.count(" data tiny: ") <= 1 + kills


def imports(forks: Forks, home: Path, count: int, *more: str) -> list[int]:
    """Exit statuses of so many imports of one name at once; each error is one line."""
    words = ["data", "import", "own", str(_file(home, 60)), *more]
    where = {"BENCH_DATA": str(home / "data")}
    ended = forks.at_once([Task(words, home, environment=where) for _ in range(count)])
    for one in ended:
        assert one.err.count("\n") == bool(one.status), one.err
    shown = forks.bench("data", "show", "own", below=home, environment=where)
    assert shown.status == 0, shown.err
    return sorted(one.status for one in ended)


def replaced(forks: Forks, home: Path, moments: int, seed: int) -> list[str]:
    """A set that is being replaced when the process is killed is the old one or the new one.

    Returns:
        What is wrong at each moment; empty where nothing is.
    """
    files = [_file(home, n) for n in (40, 60)]

    def take(place: Path, file: Path, fault: Fault = NONE) -> Sequence[str]:
        words = ["data", "import", "own", str(file), "--force"]
        where = {"BENCH_DATA": str(place)}
        return forks.bench(*words, below=place, fault=fault, environment=where).calls

    def stands(place: Path) -> tuple[int, int]:
        where = {"BENCH_DATA": str(place)}
        shown = forks.bench("data", "show", "own", below=place, environment=where)
        assert shown.status == 0, shown.err
        sheet = yaml.safe_load((place / "own/datasheet.yaml").read_text())
        option = yaml.safe_load((place / "conf/data/own.yaml").read_text())
        return sheet["frames"], option["train_size"]

    known = []
    for number, file in enumerate(files):
        (home / str(number)).mkdir()
        take(home / str(number), file)
        known.append(stands(home / str(number)))
    whole = home / "whole"
    whole.mkdir()
    take(whole, files[0])
    calls = take(whole, files[1])
    found = []
    for at in sorted(random.Random(seed).sample(range(1, len(calls) + 1), moments)):
        place = home / f"at-{at}"
        place.mkdir()
        take(place, files[0])
        take(place, files[1], Fault(at))
        try:
            stood = stands(place)
            found.append("" if stood in known else f"{calls[at - 1]}: {stood}")
        except AssertionError as error:
            found.append(f"{calls[at - 1]}: {error}")
    return found


def _file(home: Path, frames: int) -> Path:
    path = home / f"{frames}.xyz"
    if not path.exists():
        toy.write(path, toy.frames(3, frames))
    return path
