"""Tasks of an array as Slurm writes them: `0-3,7`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

_PART = re.compile(r"(\d+)(?:-(\d+))?")


def shortened(numbers: Iterable[int]) -> str:
    """Numbers, each once, as `0-3,7`."""
    parts = []
    ordered = enumerate(sorted(set(numbers)))
    for _, group in groupby(ordered, key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in group]
        parts.append(f"{members[0]}-{members[-1]}" if len(members) > 1 else f"{members[0]}")
    return ",".join(parts)


def members(text: str) -> list[int]:
    """The numbers in `7` or `[0-3,7%2]`; `%2` says how many run at once. Empty for other text."""
    found: list[int] = []
    for part in text.strip("[]").partition("%")[0].split(","):
        if whole := _PART.fullmatch(part):
            found += range(int(whole[1]), int(whole[2] or whole[1]) + 1)
    return found
