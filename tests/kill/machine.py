"""What machines do to commands: no room, no rights, no handles, no memory, at any call."""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import yaml

from deepset_bench.holding import HELD, LOCK
from tests import toy
from tests.kill.forks import CHANGES, NONE, Ended, Fault, Forks
from tests.training.tiny import asked

ERRORS = {
    errno.ENOSPC: ("cwsrm", True),
    errno.EDQUOT: ("cwsrm", True),
    errno.EROFS: ("crmd", True),
    errno.EACCES: ("ocrmd", False),
    errno.EMFILE: ("oc", False),
    errno.EIO: ("ocwsrmd", False),
    errno.ENAMETOOLONG: ("crm", False),
    errno.EISDIR: ("c", False),
    errno.EFBIG: ("w", False),
    0: (CHANGES, False),
}
"""Which calls fail so, and whether all later ones do, too; 0 is a kill."""
SHORT = asked("trainer.epochs=1")
COMMANDS = {
    "train": ["train", *SHORT, "seed=1"],
    "sweep": ["sweep", *SHORT, "--seeds", "2", "--jobs", "1"],
    "tables": ["tables", "mine", "--out", "tables"],
    "figures": ["figures", "mine", "--out", "figures"],
    "report": ["report", "mine", "--out", "report.html"],
    "evaluate": ["evaluate", "RUN"],
    "check": ["data", "check", "tiny", "--sample", "0", "--json", "found.json"],
    "import": ["data", "import", "own", "own.xyz", "--force"],
    "results export": ["results", "export", "results.csv"],
    "register": ["study", "register", "mine"],
}
BY_HAND = {
    "export": ["export", "RUN", "potential.pt2"],
}
STUDY = {
    "study.yaml": {"title": "Is wide better?", "margin": "5 %", "common": SHORT},
    "widths.yaml": {
        "title": "Widths",
        "baseline": "narrow",
        "runs": [
            {"label": "narrow", "overrides": []},
            {"label": "wide", "overrides": ["width=16"]},
        ],
    },
}


@dataclass(frozen=True)
class Place:
    """A folder with data, runs, a study and a file to import, as they are before a command."""

    forks: Forks
    home: Path

    def copy(self, name: str) -> Path:
        """Another folder like it."""
        place = self.home.with_name(name)
        shutil.copytree(self.home, place)
        return place

    def run(
        self,
        words: Sequence[str],
        place: Path,
        fault: Fault = NONE,
        others: Mapping[str, str] = MappingProxyType({}),
        **limits: int,
    ) -> Ended:
        """A command there; `others` are environment variables."""
        run = next((path.parent for path in self.home.rglob("best.pt")), self.home)
        there = str(place / run.relative_to(self.home))
        where = {
            **{"BENCH_DATA": str(place / "data"), "BENCH_RUNS": str(place / "runs")},
            **{"TMPDIR": str(place / "tmp"), "MPLCONFIGDIR": str(place / "tmp")},
        }
        return self.forks.bench(
            *(there if word == "RUN" else word for word in words),
            below=place,
            fault=fault,
            environment={**where, **others},
            **limits,
        )


def prepared(forks: Forks, home: Path) -> Place:
    """Such a folder, with a set and a run."""
    for name in ("tmp", "mine"):
        (home / name).mkdir(parents=True)
    toy.write(home / "own.xyz", toy.frames(3, 60))
    for name, content in STUDY.items():
        (home / "mine" / name).write_text(yaml.safe_dump(content))
    made = Place(forks, home)
    for words in (["data", "import", "tiny", "own.xyz"], ["train", *SHORT]):
        ended = made.run(words, made.home)
        assert ended.status == 0, ended.err
    return made


def tries(calls: Sequence[str], count: int | None, seed: object) -> list[Fault]:
    """So many of the calls that a command makes, each with one of its errors; None for all."""
    every = []
    for code, (kinds, sticky) in ERRORS.items():
        number = sum(call[0] in kinds for call in calls)
        every += [Fault(at, code, sticky, kinds) for at in range(1, number + 1)]
    return every if count is None else random.Random(str(seed)).sample(every, count)


def problems(made: Place, name: str, count: int | None, seed: object) -> Iterator[str]:
    """For each try what is wrong; empty where nothing is."""
    words = (COMMANDS | BY_HAND)[name]
    whole = made.copy(f"{name}-whole")
    calls = made.run(words, whole, Fault(kinds="ocwsrmd"))
    assert calls.status == 0, calls.err
    for fault in tries(calls.calls, count, f"{seed} {name}"):
        place = made.copy(f"{name}-tried")
        ended = made.run(words, place, fault)
        said = wrong(ended, place, name)
        again = made.run(words, place)
        if again.status:
            said = said or f"then it does not go on: {again.err}"
        elif left := unlike(whole, place):
            said = said or f"then it leaves other files: {left}"
        what = ended.calls[fault.at - 1] if fault.at <= len(ended.calls) else "?"
        how = errno.errorcode.get(fault.code, "killed")
        what = f"{name}: {how} at {what.replace(str(place), '')}"
        yield f"{what}: {said}" if said else ""
        shutil.rmtree(place)


def wrong(ended: Ended, place: Path, name: str) -> str:
    """What should not be said or left so by a command that failed, or went on all the same."""
    logs = "".join(path.read_text() for path in (place / "runs").rglob("log.txt"))
    if "Traceback" in ended.out + ended.err + logs:
        lines = (ended.err + ended.out + logs).strip().splitlines()
        return f"a traceback: {' | '.join(lines[-4:])}"
    if ended.status == -signal.SIGKILL:
        return ""
    if ended.status not in (0, 1):
        return f"exit status {ended.status}: {ended.err}"
    if ended.status == 0 or name == "sweep":  # which tells it in its table
        return ""
    if ended.err.count("\n") != 1 or not ended.err.startswith("error: "):
        return f"not one line: {ended.err}"
    if not re.match(r"error: (not enough memory|[^;]*: [^;]+); .", ended.err):
        return f"no path or no remedy: {ended.err}"
    return ""


def unlike(whole: Path, place: Path) -> list[str]:
    """Files that are there and should not be, and the other way round.

    Outside of runs a killed process leaves what it had not finished; a later one removes it.
    """

    def files(home: Path) -> set[str]:
        found = (path.relative_to(home) for path in home.rglob("*") if path.is_file())
        kept = (path for path in found if path.parts[0] != "tmp" and path.name not in (LOCK, HELD))
        return {
            str(path) for path in kept if "unfinished" not in str(path) or path.parts[0] == "runs"
        }

    return sorted(files(whole) ^ files(place))


def within(made: Place, name: str, **limit: int) -> str:
    """What is wrong with a command that may have so many bytes more, or open so many files."""
    place = made.copy(f"{name}-within")
    ended = made.run(COMMANDS[name], place, **limit)
    said = wrong(ended, place, name)
    again = made.run(COMMANDS[name], place)
    shutil.rmtree(place)
    return said or (f"then it does not go on: {again.err}" if again.status else "")


def on_disk_of(made: Place, name: str, kilobytes: int, mounted: Path) -> str:
    """The same on a file system of that size beyond what lies there before."""
    size = sum(path.stat().st_size for path in made.home.rglob("*") if path.is_file())
    size += 4096 * sum(1 for _ in made.home.rglob("*"))
    options = f"size={size + kilobytes * 1024}"
    if os.system(f"mount -t tmpfs -o {options} tmpfs {mounted} 2>/dev/null"):
        raise PermissionError("mount")
    try:
        place = mounted / "place"
        shutil.copytree(made.home, place)
        ended = made.run(COMMANDS[name], place)
        said = wrong(ended, place, name)
        os.system(f"mount -o remount,size={size * 2 + (64 << 20)} {mounted}")
        again = made.run(COMMANDS[name], place)
        return said or (f"then it does not go on: {again.err}" if again.status else "")
    finally:
        os.system(f"umount {mounted}")
