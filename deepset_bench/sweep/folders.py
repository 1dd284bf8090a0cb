"""Where studies are: the folder at hand and the program's own. Nothing heavy is imported for it."""

from __future__ import annotations

import os
from pathlib import Path

from deepset_bench.files import resource
from deepset_bench.surroundings import SHEET, STUDY
from deepset_bench.tuned import TUNED

TUNING = "tuning.yaml"
"""Lists trials instead of rows."""

OTHERS = (
    *(SHEET, "claims.yaml", "corrections.yaml", "figures.yaml", "published.yaml"),
    *("registered.yaml", TUNING, TUNED),
)
"""YAML files of a study that list no runs."""


def shipped() -> list[Path]:
    """The folders of the program's own studies, in alphabetical order."""
    return sorted(path.parent for path in resource("sweeps").glob(f"*/{SHEET}"))


def usual() -> Path:
    """The program's own study that is meant where none is: `default` says which."""
    folder = resource("sweeps")
    return folder / (folder / "default").read_text(encoding="utf-8").strip()


def at_hand() -> Path:
    """The study that a command is about where it names none."""
    if chosen := os.environ.get(STUDY):
        return Path(chosen)
    return Path() if Path(SHEET).is_file() else usual()


def stood_in() -> Path | None:
    """The folder of a study that a command was given or typed in; None without one."""
    found = at_hand()
    return None if found == usual() else found


def of_word(word: str) -> Path | None:
    """The folder of a study that a word stands for: a path, or the name of one of the program's."""
    for folder in (Path(word), resource("sweeps") / word):
        # Path.is_file raises an OSError where a name is too long for the file system.
        if os.path.isfile(folder / SHEET):  # noqa: PTH113
            return folder
    return None


def _of_comparison(word: str) -> Path | None:
    """The folder of the study that has a comparison of this name, as `studies.find` looks for it.

    Such a comparison may need what its study has: options, data, chosen settings.
    """
    path = Path(word)
    if "=" in word or word.startswith("-") or path.parent not in (Path(), Path("sweeps")):
        return None
    stem = path.name.removesuffix(".yaml")
    every = dict.fromkeys([at_hand(), usual(), *shipped()])
    return next((f for f in every if stem in {one.stem for one in sweep_files(f)}), None)


def sweep_files(folder: Path) -> list[Path]:
    """The sweep files of a study, in alphabetical order."""
    return sorted(path for path in folder.glob("*.yaml") if path.name not in OTHERS)


def enter(words: list[str]) -> None:
    """Make the study that a command line names that of this process, and of those that it starts.

    Its files of variants, options and data are then found wherever the person stands.

    Args:
        words: of the command line.
    """
    for word in words:
        path = Path(word)
        is_sheet = path.suffix == ".yaml" and os.path.isfile(path)  # noqa: PTH113
        folder = path.parent if is_sheet else of_word(word) or _of_comparison(word)
        if folder and folder != usual() and (folder / SHEET).is_file():
            os.environ[STUDY] = str(folder.resolve())
            return
    if Path(SHEET).is_file() and not os.environ.get(STUDY):
        os.environ[STUDY] = str(Path.cwd())
