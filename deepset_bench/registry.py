"""Which variants there are: read off the files that hold them, which are not run for it.

Files are the product's own, those of installed packages (entry points of the group
`deepset_bench.variants`) and those that a person names (`--variants`, BENCH_VARIANTS). No file is
looked for because a configuration, a run folder or a data set says so.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from deepset_bench.errors import UserError, nearest, one_line
from deepset_bench.files import PACKAGE

ENTRY_POINTS = "deepset_bench.variants"
ENVIRONMENT = "BENCH_VARIANTS"
"""Names files of variants, separated like those of PATH."""
_ROOMS = ("model", "readers", "scoring", "sweep", "evaluation")
"""Of the package, that hold variants."""
_TYPES = {"int": int, "float": float, "bool": bool, "str": str}
_REQUIRED = object()


@dataclass(frozen=True)
class Kind:
    """A kind of variant.

    Attributes:
        words: what people call it.
        group: the configuration group, or key, that names it.
        given: parameters that the product gives, each by its name.
        keys: parameters that are keys of the group already.
        options: whether parameters beside these are keys of the group.
        traits: what its decorator may say beside the name, and what holds otherwise.
    """

    words: str
    group: str
    given: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    options: bool = False
    traits: Mapping[str, Any] = field(default_factory=dict)


KINDS = {
    "scalar": Kind("scalar feature", "scalars"),
    "radial_basis": Kind("radial basis", "rbf", ("cutoff",), ("size",), True),
    "graph_layer": Kind(
        *("graph layer", "gnn", ("width", "aggregation"), (), True),
        {"divisible_by": 1, "draws_by_edge": True},
    ),
    "gate": Kind("gate", "gating", ("cutoff",), ("experts", "top_k"), True),
    "readout": Kind("readout", "readout", ("width",)),
    "model": Kind(
        "network",
        "model",
        ("cutoff", "scalars", "basis", "gnn", "gate", "experts", "envelope", "readout"),
        ("width", "layers", "basis_size"),
        True,
        {
            **{"divisible_by": 1, "forms": ("reference",), "reads": ()},
            "width_key": "model.width",
        },
    ),
    "metric": Kind(
        *("metric", ""),
        traits={"unit": "", "digits": None, "less_is_better": True, "of": "frames"},
    ),
    "executor": Kind("executor", ""),
    "reader": Kind(
        *("reader", "", (), (), False),
        {"begins": b"", "suffixes": (), "takes": (), "slow": True},
    ),
}
_TAKES = {"scalar": 1, "metric": 3, "reader": 4, "executor": 3}
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

    def load(self) -> Any:
        """The function or class; imports its file.

        Raises:
            UserError: the file cannot be imported.
        """
        module = importlib.import_module(self.module) if self.module else _imported(self.file)
        return getattr(module, self.attribute)

    def call(self, **given: Any) -> Any:
        """What it makes of the parameters that it has; the others are left out.

        Raises:
            UserError: another's variant fails.
        """
        arguments = {name: value for name, value in given.items() if name in self.parameters}
        made = self._attempt(**arguments)
        if not self.ours and not hasattr(made, "state_dict"):
            what = type(made).__name__
            raise UserError(f"{self.file}: {self} makes {what}, not a module of torch")
        return made

    def apply(self, *values: Any) -> Any:
        """What it says of these values, of one that is a function.

        Raises:
            UserError: another's variant fails.
        """
        return self._attempt(*values)

    def _attempt(self, *values: Any, **given: Any) -> Any:
        target = self.load()
        if self.ours:
            return target(*values, **given)
        try:
            return target(*values, **given)
        except UserError:
            raise
        except Exception as error:
            raise UserError(self.failure(error)) from error

    def failure(self, error: Exception) -> str:
        """Where and how it failed, in one line."""
        does = "fails" if self.kind in _TAKES else "cannot be made"
        return f"{_place(self.file, error)}: {self} {does}: {_says(error)}"

    def __str__(self) -> str:
        return f"{KINDS[self.kind].words} {self.name}"


def variants() -> dict[tuple[str, str], Variant]:
    """Every variant by kind and name.

    Raises:
        UserError: a file that cannot be read, or a name that is there twice.
    """
    return _variants(os.environ.get(ENVIRONMENT, ""))


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


def files_of(one: Variant) -> list[Path]:
    """Its file, and those beside it that it imports, and they."""
    return _with_siblings(one.file)


@cache
def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    for path in _with_siblings(file):
        digest.update(path.relative_to(file.parent).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def _with_siblings(file: Path) -> list[Path]:
    found, waiting = [], [file]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.append(path)
        for node in ast.walk(_parsed(path)):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                bare = [alias.name for alias in node.names] if node.module is None else []
                modules = [*([node.module] if node.module else []), *inner, *bare]
            for module in modules:
                stem = path.parent.joinpath(*module.split("."))
                places = stem.with_suffix(".py"), stem / "__init__.py"
                waiting += [place for place in places if place.is_file()]
    return [file, *sorted(set(found) - {file})]


def _our_files() -> list[tuple[Path, str | None]]:
    found: list[tuple[Path, str | None]] = []
    for room in _ROOMS:
        for path in sorted((PACKAGE / room).rglob("*.py")):
            if b"deepset_bench.variants import" in path.read_bytes():
                parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
                found.append((path, ".".join(parts)))
    return found


def _installed() -> list[tuple[Path, str | None]]:
    found: list[tuple[Path, str | None]] = []
    for point in entry_points(group=ENTRY_POINTS):
        try:
            spec = importlib.util.find_spec(point.module)
        except ImportError:
            spec = None
        if spec is None or spec.origin is None:
            raise UserError(f"the installed package's {point.value} has variants, but is not there")
        found.append((Path(spec.origin), point.module))
    return found


def _named(text: str) -> list[tuple[Path, str | None]]:
    files = [Path(part).expanduser().absolute() for part in text.split(os.pathsep) if part]
    for file in files:
        if not file.is_file():
            raise UserError(f"{file}: no such file of variants (--variants, {ENVIRONMENT})")
    return [(file, None) for file in dict.fromkeys(files)]


def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_text(encoding="utf-8"), str(file))
    except SyntaxError as error:
        raise UserError(f"{file}, line {error.lineno}: {error.msg}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read ({one_line(error)})") from None


def read_file(file: Path, module: str | None) -> list[Variant]:
    """The variants of a file.

    Args:
        file: Python.
        module: to import it as, where it is part of a package.

    Raises:
        UserError: no Python, or a variant that cannot be one; names the line.
    """
    found = []
    for node in _parsed(file).body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and (kind := _last(decorator.func)) in KINDS:
                try:
                    name, traits = _said(kind, decorator)
                    parameters = _parameters(kind, node)
                except ValueError as error:
                    raise UserError(f"{file}, line {node.lineno}: {error}") from None
                text = ast.get_docstring(node) or ""
                summary = text.partition("\n")[0]
                found.append(
                    Variant(kind, name, node.name, file, module, parameters, traits, summary)
                )
    return found


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _said(kind: str, call: ast.Call) -> tuple[str, dict[str, Any]]:
    traits = dict(KINDS[kind].traits)
    try:
        (name,) = [ast.literal_eval(argument) for argument in call.args]
        said = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
    except ValueError:
        raise ValueError(f"@{kind} takes one name in quotes, and literal values") from None
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"@{kind}({name!r}): a name is a text")
    if KINDS[kind].group and (not name.isidentifier() or name == "none"):
        raise ValueError(f"@{kind}({name!r}): a name is made of letters, digits and _")
    for word in said.keys() - traits.keys():
        raise ValueError(f"@{kind} does not take {word}; {nearest(word, traits)}")
    if kind == "metric":
        _check_metric(said)
    return name, traits | said


def _check_metric(said: Mapping[str, Any]) -> None:
    digits, of = said.get("digits"), said.get("of", "frames")
    if digits is not None and (type(digits) is not int or not 0 <= digits <= 12):
        raise ValueError(f"digits={digits!r} of a metric is to be a whole number from 0 to 12")
    if of not in ("frames", "run", "potential"):
        raise ValueError(f"of={of!r} of a metric is to be 'frames', 'run' or 'potential'")
    for word, kind in (("unit", str), ("less_is_better", bool)):
        if word in said and type(said[word]) is not kind:
            raise ValueError(f"{word}={said[word]!r} of a metric is to be {kind.__name__}")


def _parameters(kind: str, node: ast.FunctionDef | ast.ClassDef) -> dict[str, Option]:
    if isinstance(node, ast.ClassDef):
        makers = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
        if not makers:
            return {}
        arguments, first = makers[0].args, 1
    else:
        arguments, first = node.args, 0
    if arguments.vararg or arguments.kwarg:
        raise ValueError(f"{node.name} takes any arguments (*, **); name each of them")
    ordinary = [*arguments.posonlyargs, *arguments.args][first:]
    defaults: list[ast.expr | None] = [None] * (len(ordinary) - len(arguments.defaults))
    given = [*zip(ordinary, [*defaults, *arguments.defaults], strict=True)]
    given += [*zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    if kind in _TAKES:
        if len(given) != _TAKES[kind] or isinstance(node, ast.ClassDef):
            raise ValueError(f"a {KINDS[kind].words} is a function of {_TAKES[kind]} parameters")
        return {}
    found = {}
    for argument, default in given:
        known = {*KINDS[kind].given, *KINDS[kind].keys}
        option = _option(argument, default)
        if argument.arg not in known and not (KINDS[kind].options and option.has_default):
            where = "nothing gives it a value" if KINDS[kind].options else "is not given to it"
            text = f"parameter {argument.arg} of {node.name}: {where}; "
            text += f"a {KINDS[kind].words} is given {', '.join(sorted(known))}"
            raise ValueError(text + (", and others need a default" if KINDS[kind].options else ""))
        if argument.arg not in known and not option.types:
            types = ", ".join(_TYPES)
            raise ValueError(f"parameter {argument.arg} of {node.name} needs a type: {types}")
        found[argument.arg] = option
    return found


def _option(argument: ast.arg, default: ast.expr | None) -> Option:
    types = _types(argument.annotation)
    if default is None:
        return Option(types)
    try:
        value = ast.literal_eval(default)
    except ValueError:
        raise ValueError(f"the default of {argument.arg} is to be a plain value") from None
    return Option(types or ((type(value),) if type(value) in _TYPES.values() else ()), value)


def _types(node: ast.expr | None) -> tuple[type, ...]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _types(node.left) + _types(node.right)
    if isinstance(node, ast.Constant) and node.value is None:
        return (type(None),)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _types(ast.parse(node.value, mode="eval").body)
    return (_TYPES[node.id],) if isinstance(node, ast.Name) and node.id in _TYPES else ()


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
    except Exception as error:
        del sys.modules[name]
        raise UserError(f"{_place(file, error)}: {_says(error)}") from error
    finally:
        sys.path.remove(str(file.parent))
    return module


def _says(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)}"


def _place(file: Path, error: Exception) -> str:
    """The file, and its line that an error went through last."""
    trace, line = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{file}, line {line}" if line else str(file)
