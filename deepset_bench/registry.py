"""Which variants there are: read off the files that hold them, which are not run for it.

Files are the product's own, those of installed packages (entry points of the group
`deepset_bench.variants`) and those that a person names (`--variants`, BENCH_VARIANTS). No file is
looked for because a configuration, a run folder or a data set says so.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from deepset_bench.definition import KINDS, Variant, said_of
from deepset_bench.errors import UserError, nearest
from deepset_bench.files import PACKAGE
from deepset_bench.surroundings import of_study
from deepset_bench.syntax import read_file, with_siblings

ENTRY_POINTS = "deepset_bench.variants"
ENVIRONMENT = "BENCH_VARIANTS"
"""Names files of variants, separated like those of PATH."""
_ROOMS = ("model", "readers", "scoring", "sweep", "evaluation")
"""Of the package, that hold variants."""


def variants() -> dict[tuple[str, str], Variant]:
    """Every variant by kind and name.

    Raises:
        UserError: a file that cannot be read, or a name that is there twice.
    """
    return _variants(_all_named())


def are_named() -> bool:
    """Whether a person names files of variants, which may change while a process goes on."""
    return bool(_all_named())


@cache
def _variants(named: str) -> dict[tuple[str, str], Variant]:
    found: dict[tuple[str, str], Variant] = {}
    for file, module in [*_our_files(), *_installed(), *_named(named)]:
        for one in read_file(file, module):
            other = found.setdefault((one.kind, one.name), one)
            if other is not one:
                where = "the product's own" if other.ours else f"in {other.file}, too"
                raise UserError(f"{one.file}: {one} is {where}; take another name")
    return found


def names(kind: str) -> tuple[str, ...]:
    """The variants of a kind."""
    return tuple(name for of, name in variants() if of == kind)


def find(kind: str, name: str) -> Variant:
    """One variant.

    Raises:
        UserError: there is none of that name.
    """
    if (kind, name) not in variants():
        text = f"no {KINDS[kind].words} is called {name}; {nearest(name, names(kind))}"
        raise UserError(f"{text} (variants of your own: --variants FILE)")
    return variants()[kind, name]


def kind_of(group: str) -> str | None:
    """The kind of variants that a configuration group has options for."""
    return next((kind for kind, what in KINDS.items() if group and what.group == group), None)


def reason(error: BaseException) -> str:
    """An error that nobody foresaw, in one line: by `fault` where it is one, else by its kind."""
    return fault(error) or f"{type(error).__name__}: {error}".splitlines()[0]


def optional_keys() -> dict[str, list[str]]:
    """`group.option` -> names of the variants that have the option."""
    found: dict[str, list[str]] = {}
    for (kind, name), one in variants().items():
        if KINDS[kind].options:
            for option in one.options:
                found.setdefault(f"{KINDS[kind].group}.{option}", []).append(name)
    return found


def implied(group: str, name: str) -> dict[str, Any] | None:
    """The values of a group's option that no file of `conf` describes: a variant of that name."""
    kind = kind_of(group)
    if kind in (None, "readout") or (str(kind), name) not in variants():
        return None
    if kind == "scalar":
        return {"scalars": [name]}
    one = variants()[str(kind), name]
    usual: dict[str, dict[str, Any]] = {
        "radial_basis": {"size": 32, "transforms": []},
        "graph_layer": {"layers": 1},
        "gate": {"experts": 4, "top_k": None},
        "model": dict.fromkeys(KINDS["model"].keys),
    }
    values = {"kind": name, **usual[str(kind)]}
    for key in KINDS[str(kind)].keys:
        if key in one.parameters and one.parameters[key].has_default:
            values[key] = one.parameters[key].default
    return values


def sources(chosen: list[Variant]) -> dict[str, str]:
    """The SHA-256 of the files of variants that are not the product's own, by kind and name."""
    return {f"{v.kind} {v.name}": _digest(v.file) for v in chosen if not v.ours}


def fault(error: BaseException) -> str:
    """An error in another's variant in one line: file, line, what; empty for any other error."""
    return said_of({one.file for one in variants().values() if not one.ours}, error)


def to_type(chosen: Iterable[Variant], *, names_study: bool = True) -> list[str]:
    """The words `--variants FILE` of a command that needs these, for files that a person names.

    Args:
        chosen: what the command needs.
        names_study: whether the command names a file of the study, whose variants it has then.
    """
    named = {file for file, _ in _named(os.environ.get(ENVIRONMENT, ""))}
    if not names_study:
        named |= {f.absolute() for f in of_study("variants.py") if f.parent.resolve() != Path.cwd()}
    files = dict.fromkeys(one.file for one in chosen if one.file in named)
    return [word for file in files for word in ("--variants", str(file))]


def files_of(one: Variant) -> list[Path]:
    """Its file, and those beside it that it imports, and they."""
    return with_siblings(one.file)


@cache
def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    for path in with_siblings(file):
        digest.update(path.relative_to(file.parent).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def _our_files() -> list[tuple[Path, str | None]]:
    found: list[tuple[Path, str | None]] = []
    for room in _ROOMS:
        for path in sorted((PACKAGE / room).rglob("*.py")):
            if b"deepset_bench.variants import" in path.read_bytes():
                parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
                found.append((path, ".".join(parts)))
    return found


def _installed() -> list[tuple[Path, str | None]]:
    from importlib.metadata import entry_points

    found: dict[Path, str | None] = {}  # a package may name each of its variants
    for point in entry_points(group=ENTRY_POINTS):
        try:
            spec = importlib.util.find_spec(point.module)
        except Exception:  # a module within a package has that imported, whatever it does
            spec = None
        if spec is None or spec.origin is None:
            what = f"the installed package's {point.value} has variants"
            raise UserError(f"{what}, but is not there or cannot be imported; mend or uninstall it")
        found[Path(spec.origin)] = point.module
    return [*found.items()]


def _all_named() -> str:
    own = (str(file.absolute()) for file in of_study("variants.py"))
    return os.pathsep.join(filter(None, [os.environ.get(ENVIRONMENT), *own]))


def _named(text: str) -> list[tuple[Path, str | None]]:
    files = [Path(part).expanduser().absolute() for part in text.split(os.pathsep) if part]
    for file in files:
        if not file.is_file():
            raise UserError(f"{file}: no such file of variants (--variants, {ENVIRONMENT})")
    return [(file, None) for file in dict.fromkeys(files)]
