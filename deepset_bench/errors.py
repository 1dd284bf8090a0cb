"""What a person can get wrong, as one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


_LONGEST = 1500
"""Characters of a message: what it quotes may be as long as a file."""


class UserError(Exception):
    """A mistake the user can mend: one line that says what, where and what to do.

    The command line prints it without a traceback and exits with status 2.
    """

    def __str__(self) -> str:
        text = super().__str__()
        if len(text) <= _LONGEST:
            return text
        # What is wrong stands first, what to do last.
        return f"{text[: _LONGEST // 2]} [...] {text[-_LONGEST // 2 :]}"


class NotInstalled(UserError):
    """Only an extra of the package can do what was asked for."""


def one_line(error: BaseException) -> str:
    """What an error of another package says, in one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def chosen(key: str, name: Any, options: Mapping[Any, T]) -> T:
    """The entry of a name; a name without one never falls through to another's.

    Raises:
        UserError: there is none.
    """
    if name not in options:
        names = ", ".join(str(option) for option in options)
        raise UserError(f"{key}={name} is not known here; choose from {names}")
    return options[name]


def nearest(name: str, valid: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest valid ones, or all of them."""
    options = sorted(valid)
    close = difflib.get_close_matches(name, options, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"valid: {', '.join(options)}" if options else "there are none"
