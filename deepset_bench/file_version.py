"""The version of the layout of what is written to be read back.

One number for all files. A mapping has it under `schema`, an npz as an array of that name. What has
none is of version 1, as earlier releases wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepset_bench import bounds
from deepset_bench.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEY = "schema"
VERSION = 1
"""Raised when what this version writes means something else to a program that reads the earlier."""


def marked(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a file with its version."""
    return {KEY: VERSION, **content}


def unmarked(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a file as it was before `marked`."""
    return {key: value for key, value in content.items() if key != KEY}


def known(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a file as it was before `marked`.

    Raises:
        UserError: see `newer`.
    """
    if wrong := newer(content):
        raise UserError(f"{path}: {wrong}")
    return unmarked(content)


def newer(content: Mapping[str, Any]) -> str:
    """Why a file cannot be read by this version of the program, in words; empty if it can."""
    return unknown(content.get(KEY, VERSION))


def unknown(version: Any) -> str:
    """The same of the version that it has."""
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        return f"its version is {version!r:.40}"
    if version > VERSION:
        return (
            f"a newer version of this program wrote it (layout {version}, known here up to "
            f"{VERSION}); update it: pip install --upgrade deepset-bench"
        )
    return ""


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a compressed npz with its version, whole or not at all."""
    import numpy as np  # here: most commands do without it

    from deepset_bench.files import atomic_write

    whole: dict[str, Any] = {KEY: np.int64(VERSION), **arrays}
    with atomic_write(path) as stream:
        np.savez_compressed(stream, **whole)


def arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Every array of an npz that `save_arrays` wrote.

    Raises:
        OSError, ValueError, ...: see `bounds.arrays`; or it is of a newer version.
    """
    found = bounds.arrays(path)
    version = found.pop(KEY, None)
    if version is not None and (wrong := unknown(version.item() if version.size == 1 else None)):
        raise ValueError(wrong)
    return found
