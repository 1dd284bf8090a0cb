"""Every command of the program as it is tried here, and a folder in which each of them works."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import click
import typer
import yaml

from deepset_bench import cli
from tests import toy
from tests.data.server import serve
from tests.kill.forks import NONE, Ended, Fault, Forks, Task
from tests.readers.dialects import npz, rmd17
from tests.training.tiny import asked

SHORT = asked("trainer.epochs=1")
DYNAMICS = ("--sampling", "md", "--interval", "1", "--frames", "3")
COMMANDS = {
    "train": ["train", *SHORT, "seed=1"],
    "sweep": ["sweep", *SHORT, "--seeds", "2", "--jobs", "1"],
    "plan": ["plan", "mine"],
    "status": ["status"],
    "rm": ["rm", "RUN", "--yes"],
    "config": ["config", *SHORT],
    "evaluate": ["evaluate", "RUN"],
    "evaluate, scan": ["evaluate", "RUN", "scan=pair:0-3"],
    "check": ["check", "RUN", "--json", "checked.json"],
    "time": ["time", "mine", "--rounds", "1", "--steps", "1"],
    "tables": ["tables", "mine", "--out", "tables"],
    "figures": ["figures", "mine", "--out", "figures"],
    "report": ["report", "mine", "--out", "report.html"],
    "study new": ["study", "new", "another"],
    "study check": ["study", "check", "mine"],
    "study register": ["study", "register", "mine"],
    "study tune": ["study", "tune", "tuned"],
    "study list": ["study", "list"],
    "data list": ["data", "list"],
    "data show": ["data", "show", "tiny"],
    "data import": ["data", "import", "own", "own.xyz", "--force"],
    "data import, packed": ["data", "import", "packed", "water.npz.gz"],
    "data check": [
        *("data", "check", "tiny", "--sample", "0"),
        *("--json", "found.json", "--html", "found.html"),
    ],
    "data relabel": ["data", "relabel", "tiny", "--frames", "1-2", "--as", "relabelled"],
    "data fetch": ["data", "fetch", "published"],
    "data generate": ["data", "generate", "water", "--smiles", "O", *DYNAMICS],
    "data generate, elsewhere": [
        *("data", "generate", "there", "--smiles", "O", *DYNAMICS, "--out", "."),
    ],
    "results export": ["results", "export", "results.csv"],
    "results import": ["results", "import", "kept.csv", "--runs-dir", "restored"],
}
SLOW = {
    "data generate, two": [
        *("data", "generate", "two", "--smiles", "O water", "--smiles", "N ammonia"),
        *("--jobs", "2", *DYNAMICS),
    ],
    "export, metatomic": ["export", "RUN", "potential.pt", "--format", "metatomic"],
    "export": ["export", "RUN", "potential.pt2"],
}
ASK_OTHERS = ("cancel", "log sync")
"""Commands that change nothing here: Slurm and W&B do what they ask for."""
MAY_BE_REFUSED = ("rm", "data fetch", "data relabel", "data generate", "study new", "data import,")
"""A second time: what they make is there, or what they remove is not, though they were killed."""
STUDY = {
    "mine/study.yaml": {"title": "Is wide better?", "margin": "5 %", "common": SHORT},
    "mine/widths.yaml": {
        "title": "Widths",
        "baseline": "narrow",
        "runs": [
            {"label": "narrow", "overrides": []},
            {"label": "wide", "overrides": ["width=16"]},
        ],
    },
    "tuned/study.yaml": {"title": "Which width?"},
    "tuned/tuning.yaml": {
        "title": "Trials",
        "common": SHORT,
        "networks": {"deepset": []},
        "tasks": {"tiny": ["data=tiny"]},
        "space": {"width": [16]},
        "trials": 1,
    },
}


def leaves(command: click.Command | None = None, path: tuple[str, ...] = ()) -> Iterator[str]:
    """The words of every command that does something, as in `data import`."""
    command = typer.main.get_command(cli.app) if command is None else command
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(path)
        return
    for name, one in inner.items():
        yield from leaves(one, (*path, name))


@dataclass(frozen=True)
class Place:
    """A folder with data, runs, studies and files, as they are before a command."""

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
        environment = {**self.where(place), **others}
        return self.forks.bench(
            *self.named(words, place), below=place, fault=fault, environment=environment, **limits
        )

    def at_once(self, commands: Sequence[Sequence[str]], place: Path) -> list[Ended]:
        """Commands there, side by side."""
        where = self.where(place)
        return self.forks.at_once(
            [Task(self.named(words, place), place, environment=where) for words in commands]
        )

    def where(self, place: Path) -> dict[str, str]:
        """The environment of a command in a folder like this."""
        return {
            **{"BENCH_DATA": str(place / "data"), "BENCH_RUNS": str(place / "runs")},
            **{"TMPDIR": str(place / "tmp"), "MPLCONFIGDIR": str(place / "tmp")},
            "PUBLISHED": str(self.home / "remote.yaml"),
        }

    def named(self, words: Sequence[str], place: Path) -> list[str]:
        """The words, with the folder of the run there for RUN."""
        run = next((path.parent for path in self.home.rglob("best.pt")), self.home)
        there = str(place / run.relative_to(self.home))
        return [there if word == "RUN" else word for word in words]


def prepared(forks: Forks, home: Path) -> Place:
    """Such a folder, with a set and a run; a set is published for as long as there are forks."""
    for name in ("tmp", "mine", "tuned"):
        (home / name).mkdir(parents=True)
    toy.write(home / "own.xyz", toy.frames(3, 60))
    (home / "water.npz.gz").write_bytes(gzip.compress(npz(rmd17()), mtime=0))
    site = forks.enter_context(serve())
    site.content = (home / "own.xyz").read_bytes()
    published = {"about": "propene", "page": site.url, "url": site.url, "file": "published.xyz"}
    (home / "remote.yaml").write_text(yaml.safe_dump({"published": published}))
    for name, content in STUDY.items():
        (home / name).write_text(yaml.safe_dump(content))
    made = Place(forks, home)
    for words in (
        ["data", "import", "tiny", "own.xyz"],
        ["train", *SHORT],
        ["results", "export", "kept.csv"],
    ):
        ended = made.run(words, made.home)
        assert ended.status == 0, ended.err
    return made
