"""What MkDocs does not do by itself: two reference pages from the code, equations as MathML."""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import typer
import yaml
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from deepset_bench import cli, schema
from deepset_bench.files import resource
from deepset_bench.schema import flat
from deepset_bench.sweep.executors.chosen import GROUP
from deepset_bench.sweep.executors.settings import Settings
from deepset_bench.validation import choices

_MATH = re.compile(r'<(span|div) class="arithmatex">\\([\[(])(.*?)\\[\])]</\1>', re.DOTALL)
_COMMENT = re.compile(r"^(\w+):.*?\s# (.*)$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are generated."""
    for name, page in (("cli", command_line()), ("configuration", configuration())):
        files.append(File.generated(config, f"reference/{name}.md", content=page))
    return files


def on_page_content(content: str, **_: Any) -> str:
    """Equations as MathML, which browsers draw by themselves."""
    return _MATH.sub(_mathml, content)


def _mathml(found: re.Match[str]) -> str:
    formula = html.unescape(found[3]).strip()
    if found[2] == "(":
        return convert(formula)
    return f'<div class="equation">{convert(formula, display="block")}</div>'


def command_line() -> str:
    """The page of every command with its arguments and options, from the Typer application."""
    page = ["# Command line", "", "What `--help` says of each command.", ""]
    for words, command in commands("bench", typer.main.get_command(cli.app)):
        context = typer.Context(command)
        usage = " ".join([words, *command.collect_usage_pieces(context)])
        page += [f"## {words}", "", _plain(command.help), "", "```text", usage, "```", ""]
        for parameter in command.params:
            record = parameter.get_help_record(context)
            if record is not None and parameter.name != "help":
                page += [f"`{record[0]}`", f":   {_plain(record[1])}", ""]
    return "\n".join(page)


def commands(words: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Every command below this one with the words that call it; groups only stand for theirs."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words, command
        return
    for name, member in inner.items():
        yield from commands(f"{words} {name}", member)


def configuration() -> str:
    """The page of every key and group: from conf/, and from the types of the schema."""
    text = _read("config")
    content = yaml.safe_load(text)
    defaults = [line for line in content.pop("defaults") if line != "_self_"]
    chosen = {group: option for line in defaults for group, option in line.items()}
    kinds = get_type_hints(schema.Config)
    page = [
        "# Configuration",
        "",
        "An override is `GROUP=OPTION` or `KEY=VALUE`. `bench config` prints what a run with the",
        "same overrides has. Options in bold are the defaults; `condition=report` has others.",
        "",
        "## Keys of a run",
        "",
        *_keys({key: kinds[key] for key in content}, text, "", content),
    ]
    kinds[GROUP] = Settings  # no part of a run
    for group, usual in {**chosen, GROUP: "local"}.items():
        options = {path.stem: _read(f"{group}/{path.stem}") for path in _options(group)}
        page += ["", f"## {group}", ""]
        if dataclasses.is_dataclass(kind := kinds[group]):
            page += [_plain(kind.__doc__), ""]
            page += [*_keys(get_type_hints(kind), "\n".join(options.values()), f"{group}."), ""]
        page += ["| option | what | sets |", "| :-- | :-- | :-- |"]
        for option, own in options.items():
            name = f"**{option}**" if option == usual else option
            page.append(f"| {name} | {_heading(own)} | {_settings(own, group)} |")
    return "\n".join(page)


def _options(group: str) -> list[Path]:
    return sorted((resource("conf") / group).glob("*.yaml"))


def _read(name: str) -> str:
    return (resource("conf") / f"{name}.yaml").read_text(encoding="utf-8")


def _keys(
    kinds: dict[str, Any], text: str, prefix: str, values: dict[str, Any] | None = None
) -> list[str]:
    """A table of keys; comments behind them in the YAML say what they are."""
    said = dict(reversed(_COMMENT.findall(text)))
    rows = ["| key | type | choices | what |", "| :-- | :-- | :-- | :-- |"]
    if values is not None:
        rows = ["| key | type | default | choices | what |", "| :-- | :-- | :-- | :-- | :-- |"]
    for key, kind in _leaves(kinds):
        if key == "options":  # whose keys are the variants' own
            continue
        cells = [f"`{prefix}{key}`", _type(kind)]
        cells += [] if values is None else [f"`{_value(values[key])}`"]
        options = choices().get(f"{prefix}{key}", ())
        cells += [", ".join(f"`{_value(one)}`" for one in options)]
        rows.append(f"| {' | '.join([*cells, _plain(said.get(key.split('.')[-1], ''))])} |")
    return rows


def _leaves(kinds: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, kind in kinds.items():
        if dataclasses.is_dataclass(kind):
            inner = _leaves(get_type_hints(kind))
            yield from ((f"{key}.{name}", one) for name, one in inner)
        else:
            yield key, kind


def _type(kind: Any) -> str:
    names = {"str": "text", "int": "integer", "float": "number", "bool": "true or false"}
    text = kind.__name__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)
    parts = [names.get(part, part) for part in text.replace("None", "null").split(" | ")]
    return " or ".join(f"`{p}`" if "[" in p else p for p in parts)


def _heading(text: str) -> str:
    """The comments that a file of the configuration begins with."""
    lines = [line[2:] for line in text.splitlines() if line.startswith("# ")]
    return _plain(" ".join(line for line in lines if "@package" not in line))


def _settings(text: str, group: str) -> str:
    """What a file of the configuration sets, as overrides."""
    content = yaml.safe_load(text)
    others = [line for one in content.pop("defaults", []) for line in one.items()]
    prefix = "" if "@package _global_" in text else f"{group}."
    pairs = [(name.removeprefix("override /"), option) for name, option in others]
    pairs += flat(content, prefix).items()
    return ", ".join(f"`{key}={_value(value)}`" for key, value in pairs)


def _value(value: Any) -> str:
    """As an override has it."""
    if isinstance(value, list):
        return f"[{','.join(map(_value, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _plain(text: str | None) -> str:
    """Text of a docstring or help as Markdown in which nothing is markup but backticks."""
    words = html.escape(" ".join((text or "").split()), quote=False)
    return re.sub(r"(`[^`]*`)|([*_|\[\]])", lambda m: m[1] or f"\\{m[2]}", words)
