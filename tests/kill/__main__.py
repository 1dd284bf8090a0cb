"""`python -m tests.kill`: what `make kill` tries, at many moments; a table, and what was wrong."""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from deepset_bench.data import catalogue
from tests import toy
from tests.kill import commands, machine, resume, together
from tests.kill.forks import CAN, WHY_NOT, Forks


def main() -> int:
    """Returns the exit status: 1 if anything was wrong."""
    options = argparse.ArgumentParser(prog="python -m tests.kill")
    options.add_argument("--moments", type=int, default=20, help="kills of each kind (20)")
    options.add_argument("--faults", type=int, help="failed calls of each command (all)")
    options.add_argument("--seed", type=int, default=random.randrange(10**6))
    options.add_argument("--only", nargs="*", default=[], help="rows whose names hold these words")
    asked = options.parse_args()
    if not CAN:
        sys.exit(WHY_NOT)
    print(f"seed {asked.seed}", flush=True)
    wrong = 0

    def tried(name: str, found: Iterable[str]) -> None:
        nonlocal wrong
        if asked.only and not any(word in name for word in asked.only):
            return
        began, each, problems = time.monotonic(), 0, 0
        for said in found:
            each, problems = each + 1, problems + bool(said)
            if said:
                print(f"    {said}", flush=True)
        wrong += problems
        seconds = time.monotonic() - began
        print(f"| {name} | {each} | {problems} | {seconds:.0f} s |", flush=True)

    with tempfile.TemporaryDirectory() as made, Forks() as forks:
        home = Path(made)
        os.environ["BENCH_DATA"] = str(home / "data")
        catalogue.register("tiny", toy.frames(3, 60, bias=0.5), {"method": "analytic"})
        print("| what | tried | wrong | time |\n| --- | --: | --: | --: |")
        for name, overrides in (resume.EAGER | resume.COMPILED).items():
            if lacking := [one for one in resume.NEEDS.get(name, ()) if not find_spec(one)]:
                print(f"| killed: {name} | skipped: without {', '.join(lacking)} | | |")
                continue
            tried(f"killed in turn: {name}", _in_turn(forks, home / f"turns {name}", name, asked))
            for kind in resume.KINDS:
                label = f"killed: {name}, {kind}"
                tried(label, _killed(forks, home / name, overrides, kind, asked))
        for name in commands.COMMANDS | commands.SLOW:
            tried(
                f"fails: {name}",
                _failing(forks, home / f"of {name}".replace(" ", "-"), name, asked),
            )
        tried("memory", _short_of(forks, home / "memory"))
        tried("sweeps", _side_by_side(forks, home / "sweeps", asked))
        tried("imports", _imports(forks, home / "imports", asked))
    return int(wrong > 0)


def _killed(
    forks: Forks, home: Path, overrides: Iterable[str], kind: str, asked: argparse.Namespace
) -> Iterable[str]:
    case = resume.case(forks, home / kind, tuple(overrides))
    yield from resume.killed_once(case, home / kind, kind, asked.moments, asked.seed)


def _in_turn(forks: Forks, home: Path, name: str, asked: argparse.Namespace) -> Iterable[str]:
    case = resume.case(forks, home, (resume.EAGER | resume.COMPILED)[name])
    for number in range(max(asked.moments // 5, 1)):
        try:
            yield from [""] * resume.killed_in_turn(case, home / str(number), asked.seed + number)
        except AssertionError as error:
            yield " ".join(str(error).split())[:300]


def _failing(forks: Forks, home: Path, name: str, asked: argparse.Namespace) -> Iterable[str]:
    made = commands.prepared(forks, home / "template")
    yield from machine.problems(made, name, asked.faults, asked.seed)


def _short_of(forks: Forks, home: Path) -> Iterable[str]:
    made = commands.prepared(forks, home / "template")
    for name in commands.COMMANDS:
        for megabytes in (1, 20, 50, 100, 200, 400):
            said = machine.within(made, name, memory=megabytes << 20)
            yield f"{name}, {megabytes} MB more: {said}" if said else ""
        for files in (8, 16, 24, 32):
            said = machine.within(made, name, files=files)
            yield f"{name}, {files} open files: {said}" if said else ""


def _side_by_side(forks: Forks, home: Path, asked: argparse.Namespace) -> Iterable[str]:
    for number in range(max(asked.moments // 5, 1)):
        place = home / str(number)
        place.mkdir(parents=True)
        try:
            together.sweeps(forks, place, 10, 5, 6, asked.seed + number)
            yield ""
        except AssertionError as error:
            yield str(error)


def _imports(forks: Forks, home: Path, asked: argparse.Namespace) -> Iterable[str]:
    for number in range(max(asked.moments // 5, 1)):
        place = home / str(number)
        place.mkdir(parents=True)
        found = together.imports(forks, place, 4)
        yield "" if found == [0, 2, 2, 2] else f"exit statuses {found}"
    place = home / "replaced"
    place.mkdir()
    yield from together.replaced(forks, place, asked.moments, asked.seed)


if __name__ == "__main__":
    sys.exit(main())
