"""One grammar for all commands: the words of a command line, brought into the form each one has.

Where runs are, which data and condition, and how many seeds are stacked can be said to every
command that they mean something to, as an override or as an option: `data=NAME` and `--data NAME`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from deepset_bench.errors import UserError
from deepset_bench.groups import is_override

THINGS = ("runs_dir", "data", "condition", "stack", "executor")
"""What can be said in both forms; the option is `--` and the name with `-` for `_`."""
BOTH = "both"
"""A word for the two conditions that are shipped."""


def uniform(words: Sequence[str], commands: Any) -> list[str]:
    """A command line in which `--variants FILE` comes first and THINGS are as the command has them.

    A command that has an option for a thing is given the option, one that takes overrides an
    override; any other keeps the word, which its parser then refuses.

    Args:
        words: what a person typed behind `bench`.
        commands: of `bench`, as typer makes them.

    Raises:
        UserError: an option is given twice, with different values.
    """
    first, rest = _variants(words)
    known = commands.commands
    start = next((n for n, word in enumerate(rest) if not word.startswith("-")), len(rest))
    if start == len(rest) or not hasattr(known.get(rest[start]), "params"):
        return [*first, *rest]
    command = known[rest[start]]
    options = _own(command)
    takes_words = _takes_words(command)
    found = [*first, *rest[: start + 1]]
    given: dict[str, str] = {}
    left = list(rest[start + 1 :])
    while left:
        word = left.pop(0)
        name, sign, value = word.partition("=")
        thing = _thing(word, name)
        if word == "--":
            return [*found, word, *left]
        if thing is None:
            found.append(word)
            valued = word in options and not getattr(options[word], "is_flag", False)
            found += [left.pop(0)] if valued and left else []
            continue
        if not sign and not left:
            return [*found, word]  # the parser says that a value is missing
        typed = name.startswith("-")
        value = value if sign else left.pop(0)
        option = _option(thing)
        if option in options:
            value = _for_option(thing, value, as_override=not typed)
            if given.setdefault(thing, value) != value:
                twice = f"{thing}={given[thing]} and {thing}={value}"
                raise UserError(f"{twice}: {thing} is given twice; give one of them")
            found += [option, value]
        elif takes_words:
            plus = "+" if word.startswith("+") else ""
            found.append(f"{plus}{thing}={_for_override(thing, value, as_option=typed)}")
        else:
            found += [word] if sign else [word, value]
    return found


def options_of(command: Any) -> list[str]:
    """The options of a command, among them THINGS where it takes these as overrides."""
    things = [_option(thing) for thing in THINGS] if _takes_words(command) else []
    return [*_own(command), *things]


def _own(command: Any) -> dict[str, Any]:
    return {name: one for one in command.params for name in one.opts if name.startswith("-")}


def _takes_words(command: Any) -> bool:
    return any(one.nargs == -1 for one in command.params)


def _option(thing: str) -> str:
    return f"--{thing.replace('_', '-')}"


def _variants(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """`--variants FILE`, each time, and everything else."""
    first: list[str] = []
    rest: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            return first, [*rest, word, *left]
        if word == "--variants" and left:
            first += [word, left.pop(0)]
        elif word.startswith("--variants="):
            first.append(word)
        else:
            rest.append(word)
    return first, rest


def _thing(word: str, name: str) -> str | None:
    """Which of THINGS a word says, in either form."""
    if name.startswith("--"):
        thing = name.removeprefix("--").replace("-", "_")
        return thing if thing in THINGS and "_" not in name else None
    key = name.lstrip("+")
    return key if key in THINGS and is_override(word) else None


def _for_option(thing: str, value: str, *, as_override: bool) -> str:
    if as_override and value[:1] in ("'", '"'):
        from deepset_bench.overrides import parse

        return str(parse([f"{thing}={value}"])[0].value())
    return value


def _for_override(thing: str, value: str, *, as_option: bool) -> str:
    if thing == "condition" and value == BOTH:
        return "report,corrected"
    if thing == "runs_dir" and as_option and not re.fullmatch(r"[\w./-]+", value):
        from deepset_bench.overrides import quoted

        return quoted(value)  # a path is one value, whatever is in its name
    return value
