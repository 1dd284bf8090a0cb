"""What a checkpoint holds, counted: a few bytes of a pickle can stand for more than any memory."""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from deepset_bench import bounds

_MOST_VALUES = 100_000
"""Tensors, numbers and texts in a checkpoint; a run has some hundred."""
_DEEPEST = 50
"""Lists and mappings within each other."""
_GETS = ("GET", "BINGET", "LONG_BINGET")
_PUTS = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")


def archive(path: Path) -> BytesIO:
    """The archive that a checkpoint is, packed anew of what Python's own parser finds in it.

    PyTorch's takes a changed byte for a number, and the memory as it is for the numbers of a part
    that is marked as a folder.

    Raises:
        OSError, ValueError, zipfile.BadZipFile, ...: see `bounds.opened`, `bounds.check_stored`; or
            a part is damaged or there twice, or its values are too many.
    """
    whole = BytesIO()
    with bounds.opened(path) as stream, zipfile.ZipFile(stream) as found:
        bounds.check_stored(found, path.stat().st_size)
        names = found.namelist()
        if len(set(names)) < len(names):
            raise ValueError("a part of it is there twice")
        with zipfile.ZipFile(whole, "w") as anew:
            for name in names:
                content = found.read(name)
                if name.endswith("data.pkl"):
                    _check_pickle(content)
                anew.writestr(name, content)
    whole.seek(0)
    return whole


def _check_pickle(pickled: bytes) -> None:
    """Whether what is looked through while it is built, as a key is, has an end.

    Nothing is built: of each value on the stack it is counted how many there are in it.

    Raises:
        ValueError: they are too many, or it is no pickle.
    """
    stack: list[int | None] = []  # None: a mark
    kept: dict[int, int] = {}
    argument: Any
    for operation, argument, _ in pickletools.genops(pickled):
        if operation.name in _PUTS:
            place = len(kept) if operation.name == "MEMOIZE" else int(argument)
            kept[place] = stack[-1] or 1 if stack else 1
            continue
        if operation.name in _GETS:
            stack.append(kept.get(int(argument), 1))
            continue
        taken = 0
        for kind in reversed(operation.stack_before):
            if kind is pickletools.stackslice:
                while stack and stack[-1] is not None:
                    taken += stack.pop() or 0
            elif stack:
                taken += stack.pop() or 0
        if taken > _MOST_VALUES:
            raise ValueError(f"it has more than {_MOST_VALUES:,} values")
        for kind in operation.stack_after:
            stack.append(None if kind is pickletools.markobject else 1 + taken)


def check_values(content: Any) -> None:
    """The same of what was built, in which a list may be in several places, or in itself.

    Raises:
        ValueError: they are too many, or too deep.
    """
    waiting, seen = [(content, 0)], 0
    while waiting:
        found, depth = waiting.pop()
        if isinstance(found, Mapping):
            found = list(found.values())
        if isinstance(found, list | tuple | set):
            seen += len(found)
            if seen > _MOST_VALUES:
                raise ValueError(f"it has more than {_MOST_VALUES:,} values")
            if depth > _DEEPEST:
                raise ValueError("it is nested too deeply")
            waiting.extend((one, depth + 1) for one in found)
