"""Shell completion: what a word of the command line can become. Nothing heavy is imported for it.

A word that ends in `=`, `.` or `/` is to be gone on with, but shells put a space behind the only
candidate. So there is never such a one alone: what may follow is offered in its place.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout, suppress
from dataclasses import fields, is_dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, get_type_hints

from deepset_bench import registry
from deepset_bench.errors import UserError
from deepset_bench.grammar import BOTH
from deepset_bench.groups import groups

_SHELL, _WORDS, _AT = "_BENCH_COMPLETE", "COMP_WORDS", "COMP_CWORD"
_BREAKS = set("=:")
"""Of bash's COMP_WORDBREAKS, what occurs within words here."""
_NOT_SET = ("options", "sources", "budget_of", "init_sha256")
_LETTERS = re.compile(r"[\w.+=,/~@%:-]*")
"""What shells take as it is; other paths are left to them."""


def complete(answer: Callable[[], object]) -> None:
    """Let typer answer a shell that asks for completion; at once where none does.

    bash takes `gnn=sage` for three words and wants the rest of the last one alone. Here it is one
    word, as in other shells, and what bash has already is cut off the answer.

    Args:
        answer: typer's, of the whole program; ends it.
    """
    if _SHELL in os.environ:
        _use_variants()
    if os.environ.get(_SHELL) != "complete_bash" or _WORDS not in os.environ:
        answer()
        return
    words, typed = _joined(os.environ[_WORDS].split("\n")[: int(os.environ[_AT]) + 1])
    os.environ |= {_WORDS: "\n".join(words), _AT: str(len(words) - 1)}
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            answer()
    finally:
        for line in said.getvalue().splitlines():
            print(line.removeprefix(typed))


def _joined(parts: list[str]) -> tuple[list[str], str]:
    """bash's words as one typed them, and what of the last one bash does not ask for."""
    words: list[str] = []
    for before, part in zip(["", *parts], parts, strict=False):
        breaks = bool(part) and set(part) <= _BREAKS
        if len(words) > 1 and part and (breaks or (before and set(before) <= _BREAKS)):
            words[-1] += part
        else:
            words.append(part)
    last = parts[-1]
    kept = "" if last and set(last) <= _BREAKS else last
    return words, words[-1].removesuffix(kept)


def _use_variants() -> None:
    """Let `--variants FILE` of the line that is being typed count for its completion."""
    words = os.environ.get(_WORDS, os.environ.get("_TYPER_COMPLETE_ARGS", "")).split()
    named = [after for word, after in pairwise(words) if word == "--variants"]
    if named := [name for name in named if Path(name).is_file()]:
        os.environ[registry.ENVIRONMENT] = os.pathsep.join(map(os.path.abspath, named))


def overrides(incomplete: str) -> list[str]:
    """Groups and their options, keys and their values."""
    plus = "+" if incomplete.startswith("+") else ""
    key, sign, start = incomplete.removeprefix("+").partition("=")
    if not sign:
        found = _narrowed(key, [f"{name}=" for name in groups()] + _keys(key), _next)
    elif key in ("init", "runs_dir"):
        found = [f"{key}={path}" for path in runs(start)] if key == "init" else []
    else:
        before, comma, _ = start.rpartition(",")  # of several values, as a sweep takes them
        found = [f"{key}={before}{comma}{value}" for value in _values(key)]
    return [plus + text for text in found]


def runs(incomplete: str) -> list[str]:
    """Folders on the way to runs, and runs."""
    if not _LETTERS.fullmatch(incomplete):
        return []
    home = os.environ.get("BENCH_RUNS") or "runs"
    if home.startswith(incomplete) and home != incomplete:
        return _narrowed(incomplete, [f"{home}/"] if Path(home).is_dir() else [], _below)
    return _narrowed(incomplete, _below(incomplete[: incomplete.rfind("/") + 1]), _below)


def sweeps(incomplete: str) -> list[str]:
    """Studies, their sweeps, and files of this folder."""
    from deepset_bench.sweep import folders

    if "/" in incomplete:
        return []
    studies = dict.fromkeys([folders.at_hand(), *folders.shipped()])
    names = {path.stem for folder in studies for path in folders.sweep_files(folder)}
    names |= {folder.name for folder in folders.shipped()}
    names |= {path.name for path in Path().glob("*.yaml")}
    names |= {path.parent.name for path in Path().glob("*/study.yaml")}
    return sorted(name for name in names if name.startswith(incomplete))


def conditions(incomplete: str) -> list[str]:
    """Those of the option `--condition`, several with commas between."""
    before, comma, start = incomplete.rpartition(",")
    names = [*groups()["condition"], *([] if comma else [BOTH])]
    return [f"{before}{comma}{name}" for name in names if name.startswith(start)]


def trained(incomplete: str) -> list[str]:
    """Overrides, and named sweeps."""
    return [*overrides(incomplete), *([] if "=" in incomplete else sweeps(incomplete))]


def drawn(incomplete: str) -> list[str]:
    """Overrides, named sweeps, and the figures that the study at hand lists."""
    from deepset_bench.reading import read_yaml
    from deepset_bench.sweep import folders

    listed: Any = []
    with suppress(UserError):  # there is no list, or none that can be read
        listed = read_yaml(folders.at_hand() / "figures.yaml")
    entries = listed if isinstance(listed, list) else []
    names = [str(one.get("name", "")) for one in entries if isinstance(one, dict)]
    figures = [name for name in names if name.startswith(incomplete)]
    return [*figures, *(text for text in trained(incomplete) if text not in figures)]


def kept(incomplete: str) -> list[str]:
    """Overrides, named sweeps, and runs."""
    return [*trained(incomplete), *([] if "=" in incomplete else runs(incomplete))]


def evaluated(incomplete: str) -> list[str]:
    """Runs, and the overrides that evaluation takes."""
    keys = ("data", "device", "seed")
    found = [text for text in overrides(incomplete) if re.split("[.=]", text)[0] in keys]
    own = [f"scan={name}" for name in ("bond", "pair", "torsion")] + ["part=ood"]
    return [*found, *(w for w in own if w.startswith(incomplete)), *runs(incomplete)]


def _narrowed(
    start: str, candidates: Iterable[str], following: Callable[[str], list[str]]
) -> list[str]:
    """Those that go on from a start; of one alone, what follows it."""
    found = sorted({text for text in candidates if text.startswith(start)})
    while len(found) == 1 and found[0][-1] in "=./" and (more := following(found[0])):
        found = more
    return found


def _next(text: str) -> list[str]:
    """What may follow `gnn=`, `trainer.` or `cutoff=`."""
    if text.endswith("."):
        return _keys(text)
    key = text.removesuffix("=")
    return [f"{key}={value}" for value in _values(key)] or [text, f"{text}{_usual(key)}"]


def _keys(start: str) -> list[str]:
    """Keys that go on from a start, level by level: `trainer.` before `trainer.epochs=`."""
    level = start.count(".") + 1
    parts = [key.split(".") for key in _types()]
    return [
        ".".join(words[:level]) + ("=" if len(words) <= level else ".")
        for words in parts
        if ".".join(words).startswith(start)
    ]


def _values(key: str) -> list[str]:
    from deepset_bench.validation import choices

    if key in groups():
        return groups()[key]
    if _types().get(key) is bool:
        return ["false", "true"]
    words = {None: "null", True: "true", False: "false"}
    return [str(words.get(value, value)) for value in choices().get(key, ())]


def _usual(key: str) -> str:
    """A key's value where nobody sets it: for a number or a text, a hint what it looks like."""
    from deepset_bench.config import usual_value

    value = usual_value(key)
    return "null" if value is None else str(value).replace(" ", "")


@cache
def _types() -> dict[str, Any]:
    """Every key that can be set, and its type."""
    from deepset_bench.schema import Config
    from deepset_bench.sweep.executors.settings import Settings

    def of(part: type, prefix: str) -> dict[str, Any]:
        hints = get_type_hints(part)
        found: dict[str, Any] = {}
        for name in (one.name for one in fields(part) if one.name not in _NOT_SET):
            hint = hints[name]
            whole = is_dataclass(hint) and isinstance(hint, type)
            found |= of(hint, f"{prefix}{name}.") if whole else {f"{prefix}{name}": hint}
        return found

    executor = of(Settings, "executor.")
    return of(Config, "") | dict.fromkeys(registry.optional_keys()) | executor


def _below(folder: str) -> list[str]:
    """The folders within one, with `/` unless they are runs; of a path as a person types it."""
    try:
        inside = [place for place in Path(folder or ".").expanduser().iterdir() if place.is_dir()]
    except OSError:
        return []
    shown = [place for place in inside if not place.name.startswith(".")]
    ends = {place: "" if (place / "config.yaml").exists() else "/" for place in shown}
    found = [f"{folder}{place.name}{end}" for place, end in ends.items()]
    return sorted(text for text in found if _LETTERS.fullmatch(text))
