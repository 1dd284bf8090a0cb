"""Overrides as a person types them: Hydra's grammar, one override an argument."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from functools import cache

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from deepset_bench.errors import UserError

_LONGEST = 100_000
"""Characters of an override."""
_DEEPEST = 50
_OPEN = re.compile(r"[\[{(]")
_DIGITS = re.compile(r"[0-9_]{301}")


def parse(overrides: Sequence[str]) -> list[Override]:
    """Hydra's grammar, one override an argument."""
    return [_parsed(text) for text in overrides]


@cache
def _parsed(text: str) -> Override:
    """Each text once, for the runs of a table share most of them."""
    parser = OverridesParser.create()
    if len(text) > _LONGEST or len(_OPEN.findall(text)) > _DEEPEST or _DIGITS.search(text):
        what = f"longer than {_LONGEST} characters, of numbers of over 300 digits or deeply nested"
        raise UserError(f"cannot read override {text[:60]!r}...: it is {what}")
    try:
        return parser.parse_override(text)
    except HydraException as error:
        key, _, value = text.partition("=")
        as_text = f"{key}={quoted(value)}"
        if key.lstrip("+") in ("runs_dir", "init"):  # any path is one, quoted or not
            return parser.parse_override(as_text)
        reason = str(error).splitlines()[0]
        hint = f"; text goes in quotes: {shlex.quote(as_text)}" if key and value else ""
        raise UserError(f"cannot read override {text!r}: {reason}{hint}") from None


def check_once(typed: Sequence[str]) -> None:
    """Refuse a group or key that a person gave two values in one command.

    Overrides of a file and of a person are composed without this: there a later one replaces an
    earlier one on purpose.

    Raises:
        UserError: an override that does not parse, or two that contradict each other.
    """
    first: dict[str, Override] = {}
    for override in parse(typed):
        before = first.setdefault(override.key_or_group, override)
        if before is not override and before.value() != override.value():  # NaN is not itself
            raise UserError(
                f"{before.input_line:.80} and {override.input_line:.80}: "
                f"{override.key_or_group:.80} is given twice; give one of them"
            )


def last_of_each(overrides: Sequence[str]) -> list[str]:
    """The same experiment's overrides without those that a later one replaces, to be typed."""
    return list({text.lstrip("+").partition("=")[0]: text for text in overrides}.values())


def quoted(text: str) -> str:
    """Any text as Hydra's grammar takes it for itself."""
    # A backslash is itself, unless a quote follows.
    escaped = re.sub(r'(\\*)("|$)', lambda found: 2 * found[1] + found[2].replace('"', '\\"'), text)
    return f'"{escaped}"'
