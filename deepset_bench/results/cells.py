"""A value as the cell of a table, and back to the last digit.

A cell is JSON, but for plain text, which needs no quotes: `0.0125`, `null`, `[]`, `but-2-ene`.
What could be taken for anything else (a number, a spreadsheet's formula) has them: `"007"`,
`"=A1"`.
"""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from typing import Any

_JSON = ('"', "[", "{")
_WORDS = {"null": None, "true": True, "false": False}
_LARGEST = 2**63 - 1
"""What other programs can hold of a whole number."""
_FORMULA = ("=", "+", "-", "@")


def cell(value: Any) -> str:
    """The text of a value of JSON; of a text never empty.

    Raises:
        ValueError, TypeError, RecursionError: a value that JSON does not have.
    """
    if isinstance(value, str) and _is_plain(value):
        return value
    return json.dumps(value, separators=(",", ":"))


def value(text: str) -> Any:
    """What `cell` wrote.

    Raises:
        ValueError: it wrote no such thing; the message says what is wrong.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text.startswith(_JSON):
        try:
            return json.loads(text, parse_constant=_refuse)
        except json.JSONDecodeError as error:
            raise ValueError(f"is not JSON ({error})") from None
        except RecursionError:
            raise ValueError("is nested too deeply") from None
    if _is_plain(text):
        return text
    return _number(text)


def _is_plain(text: str) -> bool:
    """Whether a text is a cell as it stands."""
    if not text or text.startswith((*_JSON, *_FORMULA)) or text in _WORDS:
        return False
    return text.isprintable() and text == text.strip() and not _is_number(text)


def _is_number(text: str) -> bool:
    """Whether some program takes it for one."""
    with suppress(ValueError):
        float(text)
        return True
    return False


def _number(text: str) -> int | float:
    if re.fullmatch(r"-?(0|[1-9]\d*)", text, re.ASCII):
        if len(text) > 20 or not -_LARGEST <= int(text) <= _LARGEST:
            raise ValueError(f"{text[:20]}... is too large a number")
        return int(text)
    if re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", text, re.ASCII):
        number = float(text)
        if math.isfinite(number):
            return number
    raise ValueError(
        f"{text[:40]!r} is not a number, and text that may be taken for one has quotes"
    )


def _refuse(constant: str) -> None:
    raise ValueError(f"holds {constant}, which is not a number")
