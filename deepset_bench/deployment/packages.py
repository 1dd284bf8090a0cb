"""Compiled potentials, kept in the user's cache for the next time on this machine."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor

from deepset_bench import processor
from deepset_bench.deployment import program
from deepset_bench.deployment.function import Deployed
from deepset_bench.files import PACKAGE, cache_home

MOST = 32
"""Potentials that are kept, of about 10 MB each; those that were made last."""
SOURCES = ("model", "deployment")
"""Rooms whose code decides what a compiled potential computes."""


def place(deployed: Deployed) -> Path:
    """The file of a potential: its name says all that makes it what it is on this machine."""
    digest = hashlib.sha256()
    digest.update(repr(processor.here()).encode())
    for source in sorted(path for room in SOURCES for path in (PACKAGE / room).rglob("*.py")):
        digest.update(source.read_bytes())
    whole = io.BytesIO()
    torch.save(deployed, whole)
    digest.update(whole.getbuffer())
    return home() / f"{digest.hexdigest()[:32]}.pt2"


def home() -> Path:
    """The folder of compiled potentials."""
    kept = cache_home() or Path(tempfile.gettempdir()) / f"deepset-bench-{os.getuid()}"
    return kept / "potentials"


def compiled(deployed: Deployed, species: Tensor, kept: Path) -> Callable[..., Any]:
    """The compiled function, from the file if it is there."""
    return kept_or_made(
        kept, lambda made: program.compiled(program.exported(deployed, species), made)
    )


def kept_or_made(kept: Path, make: Callable[[Path], object]) -> Callable[..., Any]:
    """The function in a file; `make` writes it first if need be, in one process and not in two."""
    if kept.exists():
        try:
            return program.load(kept)
        except Exception:  # damaged, or of another compiler: made anew
            kept.unlink(missing_ok=True)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(kept.with_suffix(".lock")):
        if not kept.exists():
            made = kept.with_suffix(f".{os.getpid()}.pt2")
            make(made)
            made.replace(kept)
            _forget(kept.parent)
    return program.load(kept)


def _forget(folder: Path) -> None:
    """Remove the oldest beyond MOST."""
    there = sorted(folder.glob("*.pt2"), key=lambda path: path.stat().st_mtime)
    for old in there[:-MOST]:
        old.unlink(missing_ok=True)
        old.with_suffix(".lock").unlink(missing_ok=True)
