"""Variants read off a Python file by its syntax: the file is not run for it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepset_bench.definition import KINDS, TAKES, Option, Variant
from deepset_bench.errors import UserError, nearest
from deepset_bench.surroundings import of_file

_TYPES = {"int": int, "float": float, "bool": bool, "str": str}


def read_file(file: Path, module: str | None) -> list[Variant]:
    """The variants of a file.

    Args:
        file: Python.
        module: to import it as, where it is part of a package.

    Raises:
        UserError: no Python, or a variant that cannot be one; names the line.
    """
    found = []
    body = _parsed(file).body
    classes = {node.name: node for node in body if isinstance(node, ast.ClassDef)}
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and (kind := _last(decorator.func)) in KINDS:
                try:
                    name, traits = _said(kind, decorator)
                    parameters = _parameters(kind, node, classes)
                except ValueError as error:
                    raise UserError(f"{file}, line {node.lineno}: {error}") from None
                text = ast.get_docstring(node) or ""
                summary = text.partition("\n")[0]
                found.append(
                    Variant(kind, name, node.name, file, module, parameters, traits, summary)
                )
    return found


def with_siblings(file: Path) -> list[Path]:
    """A file, and those beside it that it imports, and they."""
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


def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_text(encoding="utf-8"), str(file))
    except SyntaxError as error:
        raise UserError(f"{file}, line {error.lineno}: {error.msg}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read ({of_file(file, error)})") from None


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
    if kind in ("graph_layer", "model"):
        _check_traits(kind, said)
    return name, traits | said


def _check_metric(said: Mapping[str, Any]) -> None:
    digits, of = said.get("digits"), said.get("of", "frames")
    if digits is not None and (type(digits) is not int or not 0 <= digits <= 12):
        raise ValueError(f"digits={digits!r} of a metric must be a whole number from 0 to 12")
    if of not in ("frames", "stress", "run", "potential"):
        raise ValueError(f"of={of!r} of a metric must be 'frames', 'stress', 'run' or 'potential'")
    for word, kind in (("unit", str), ("less_is_better", bool)):
        if word in said and type(said[word]) is not kind:
            raise ValueError(f"{word}={said[word]!r} of a metric must be {kind.__name__}")


def _check_traits(kind: str, said: Mapping[str, Any]) -> None:
    for word, value in said.items():
        usual = KINDS[kind].traits[word]
        texts = isinstance(usual, tuple)
        if type(value) is not type(usual) or (texts and {*map(type, value)} - {str}):
            like = "texts, as ('a', 'b') or ('a',)" if texts else type(usual).__name__
            raise ValueError(f"{word}={value!r} of @{kind} must be {like}")
    if said.get("divisible_by", 1) < 1:
        raise ValueError(f"divisible_by={said['divisible_by']} of @{kind} must be at least 1")
    forms = said.get("forms", ("reference",))
    if not forms or {*forms} - {"fused", "reference"}:
        raise ValueError(f"forms={forms!r} of @{kind} are of 'fused' and 'reference'")
    if said.get("width_key", "width") not in ("width", "model.width"):
        raise ValueError(f"width_key={said['width_key']!r} must be 'width' or 'model.width'")


def _maker(node: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> ast.FunctionDef | None:
    """The `__init__` of a class, or the one that it has from a class before it in this file."""
    for inner in node.body:
        if isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
            return inner
    for base in node.bases:
        parent = classes.get(_last(base))
        if parent is not None and parent.lineno < node.lineno and (made := _maker(parent, classes)):
            return made
    return None


def _parameters(
    kind: str, node: ast.FunctionDef | ast.ClassDef, classes: Mapping[str, ast.ClassDef]
) -> dict[str, Option]:
    if isinstance(node, ast.ClassDef):
        maker = _maker(node, classes)
        if maker is None:
            return {}
        arguments, first = maker.args, 1
    else:
        arguments, first = node.args, 0
    if arguments.vararg or arguments.kwarg:
        raise ValueError(f"{node.name} takes any arguments (*, **); name each of them")
    ordinary = [*arguments.posonlyargs, *arguments.args][first:]
    defaults: list[ast.expr | None] = [None] * (len(ordinary) - len(arguments.defaults))
    given = [*zip(ordinary, [*defaults, *arguments.defaults], strict=True)]
    given += [*zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    if kind in TAKES:
        if len(given) != TAKES[kind] or isinstance(node, ast.ClassDef):
            raise ValueError(f"a {KINDS[kind].words} is a function of {TAKES[kind]} parameters")
        return {}
    found = {}
    for argument, default in given:
        if argument.arg in KINDS[kind].taken:
            where = f"{KINDS[kind].group}.{argument.arg} is a key with another meaning"
            raise ValueError(f"parameter {argument.arg} of {node.name}: {where}; rename it")
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
        raise ValueError(f"the default of {argument.arg} must be a plain value") from None
    return Option(types or ((type(value),) if type(value) in _TYPES.values() else ()), value)


def _types(node: ast.expr | None) -> tuple[type, ...]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _types(node.left) + _types(node.right)
    if isinstance(node, ast.Constant) and node.value is None:
        return (type(None),)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            return _types(ast.parse(node.value, mode="eval").body)
        except SyntaxError:
            return ()
    if isinstance(node, ast.Subscript) and _last(node.value) == "Optional":
        return (*_types(node.slice), type(None))
    return (_TYPES[node.id],) if isinstance(node, ast.Name) and node.id in _TYPES else ()
