"""What a variant is: its kind, what its decorator and its parameters say, and how it is called."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from deepset_bench import surroundings
from deepset_bench.errors import UserError, one_line
from deepset_bench.files import PACKAGE

PEERS = "peers"
"""The extra of the program with the packages of networks that are not its own."""
_REQUIRED = object()


@dataclass(frozen=True)
class VariantKind:
    """A kind of variant.

    Attributes:
        words: what people call it.
        group: the configuration group, or key, that names it.
        given: parameters that the product gives, each by its name.
        keys: parameters that are keys of the group already.
        options: whether parameters beside these are keys of the group.
        traits: what its decorator may say beside the name, and what holds otherwise.
        taken: keys of the group that no parameter may be called as: they are not given to it.
    """

    words: str
    group: str
    given: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    options: bool = False
    traits: Mapping[str, Any] = field(default_factory=dict)
    taken: tuple[str, ...] = ()


KINDS = {
    "scalar": VariantKind("scalar feature", "scalars"),
    "radial_basis": VariantKind(
        *("radial basis", "rbf", ("cutoff",), ("size",), True),
        taken=("kind", "options", "transforms"),
    ),
    "graph_layer": VariantKind(
        *("graph layer", "gnn", ("width", "aggregation"), (), True),
        {"divisible_by": 1, "draws_by_edge": True, "of_neighbours": False},
        taken=("kind", "options", "layers"),
    ),
    "gate": VariantKind(
        *("gate", "gating", ("cutoff",), ("experts", "top_k"), True),
        taken=("kind", "options"),
    ),
    "readout": VariantKind("readout", "readout", ("width",)),
    "model": VariantKind(
        "network",
        "model",
        ("cutoff", "scalars", "basis", "gnn", "gate", "experts", "envelope", "readout"),
        ("width", "layers", "basis_size"),
        True,
        {
            **{"divisible_by": 1, "forms": ("reference",), "reads": (), "packages": ()},
            **{"width_key": "model.width", "masks_edges": False},
        },
        taken=("kind", "options"),
    ),
    "metric": VariantKind(
        *("metric", ""),
        traits={"unit": "", "digits": None, "less_is_better": True, "of": "frames"},
    ),
    "executor": VariantKind("executor", ""),
    "reader": VariantKind(
        *("reader", "", (), (), False),
        {"begins": b"", "suffixes": (), "takes": (), "slow": True},
    ),
}
TAKES = {"scalar": 1, "metric": 3, "reader": 4, "executor": 4}
"""Kinds that are called with so many values, and not to make something."""


@dataclass(frozen=True)
class Option:
    """A parameter of a variant.

    Attributes:
        types: what its value may be.
        default: its value where none is given; `_REQUIRED` without.
    """

    types: tuple[type, ...]
    default: Any = _REQUIRED

    @property
    def has_default(self) -> bool:
        """Whether the variant can do without it."""
        return self.default is not _REQUIRED

    def __str__(self) -> str:
        return " or ".join("null" if t is type(None) else t.__name__ for t in self.types)

    def takes(self, value: Any) -> bool:
        """Whether a value is of its type; a whole number is a float, too."""
        return type(value) in self.types or (type(value) is int and float in self.types)


@dataclass(frozen=True)
class Variant:
    """One variant, as its file has it.

    Attributes:
        kind: of KINDS.
        name: what it is called on the command line.
        attribute: the name of the function or class.
        file: that holds it.
        module: to import, where it is part of a package.
        parameters: by name.
        traits: what its decorator says, with defaults filled in.
        summary: the first line of its docstring.
    """

    kind: str
    name: str
    attribute: str
    file: Path
    module: str | None
    parameters: Mapping[str, Option]
    traits: Mapping[str, Any]
    summary: str = ""

    @property
    def ours(self) -> bool:
        """Whether it is the product's own."""
        return self.file.is_relative_to(PACKAGE)

    @property
    def options(self) -> dict[str, Option]:
        """Parameters that are keys of the group by being parameters."""
        kind = KINDS[self.kind]
        known = {*kind.given, *kind.keys}
        return {n: p for n, p in self.parameters.items() if n not in known}

    @property
    def to_install(self) -> str:
        """What installs packages that its code is of; empty where all of them are there."""
        missing = [p for p in self.traits.get("packages", ()) if not surroundings.is_installed(p)]
        if not missing:
            return ""
        return (
            f"pip install 'deepset-bench[{PEERS}]'"
            if self.ours
            else shlex.join(["pip", "install", *missing])
        )

    def load(self) -> Any:
        """The function or class; imports its file.

        Raises:
            UserError: the file cannot be imported.
        """
        if self.module is None:
            return getattr(_imported(self.file), self.attribute)
        try:
            return getattr(importlib.import_module(self.module), self.attribute)
        except (Exception, SystemExit) as error:
            if self.ours:
                raise
            raise _not_imported(self.file, error) from error

    def call(self, **given: Any) -> Any:
        """What it makes of the parameters that it has; the others are left out.

        Raises:
            UserError: another's variant fails.
        """
        arguments = {name: value for name, value in given.items() if name in self.parameters}
        made = self._attempt(lambda target: target(**arguments))
        if not self.ours and not hasattr(made, "state_dict"):
            what = type(made).__name__
            raise UserError(f"{self.file}: {self} makes {what}, not a module of torch")
        return made

    def apply(self, *values: Any, file: Path | None = None) -> Any:
        """What it says of these values, of one that is a function.

        Args:
            values: its parameters.
            file: that they are about, for the message.

        Raises:
            UserError: another's variant fails.
        """
        return self._attempt(lambda target: target(*values), f"{file}: " if file else "")

    def _attempt(self, use: Callable[[Any], Any], about: str = "") -> Any:
        target = self.load()
        try:
            return use(target)
        except UserError:
            raise
        except Exception as error:
            if self.ours:
                raise
            does = "fails" if self.kind in TAKES else "cannot be made"
            where = f"{about}{_place([self.file], error) or self.file}"
            raise UserError(f"{where}: {self} {does}: {_says(error)}") from error

    def __str__(self) -> str:
        return f"{KINDS[self.kind].words} {self.name}"


@cache
def _imported(file: Path) -> ModuleType:
    """A file that a person named, as a module; what lies beside it can be imported by it."""
    name = f"variants_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _not_imported(file, error) from error
    finally:
        sys.path.remove(str(file.parent))
    return module


def _not_imported(file: Path, error: BaseException) -> UserError:
    return UserError(said_of([file], error) or f"{file}: {_says(error)}")


def _says(error: BaseException) -> str:
    return f"{type(error).__name__}: {one_line(error)}"


def said_of(files: Iterable[Path], error: BaseException) -> str:
    """An error that went through one of these files, in one line; empty where it did not."""
    where = _place(files, error)
    return f"{where}: {_says(error)}" if where else ""


def _place(files: Iterable[Path], error: BaseException) -> str:
    """The file and the line of these that an error went through last; empty for none."""
    names, where, trace = {*map(str, files)}, "", error.__traceback__
    while trace is not None:
        if (name := trace.tb_frame.f_code.co_filename) in names:
            where = f"{name}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return where
