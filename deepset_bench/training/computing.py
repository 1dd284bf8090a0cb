"""How a run is computed: no part of what it is, but what rounds its numbers.

Training amplifies rounding: a difference of 6e-8 after one epoch can be one of 40 % in the
validation loss after ten. A run goes on as it was computed before, unless it is told otherwise or
cannot; then it says so, and its result holds every way in which its epochs were computed.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, cast

import torch
import torch.utils.deterministic

from deepset_bench.denormals import start_threads
from deepset_bench.reading import Kinds, lacking
from deepset_bench.schema import Config

Way = dict[str, Any]
"""`from_epoch`, and what the epochs from it on are computed with."""

_KINDS: Kinds = {
    **{"from_epoch": int, "threads": int, "compile": bool, "form": str, "stack": int},
    **{"device": str, "machine": str, "torch": str},
}


def earlier(saved: Mapping[str, Any] | None) -> list[Way]:
    """The ways that a checkpoint knows of; none where there is none, or an earlier version's."""
    known = [] if saved is None else saved.get("computed", [])
    whole = isinstance(known, list) and all(
        isinstance(way, dict) and not lacking(way, _KINDS) for way in known
    )
    return list(known) if whole else []


def machine() -> str:
    """The system and the kind of processor."""
    return f"{platform.system()} {platform.machine()}"


def deterministic() -> None:
    """Let torch compute the same from the same, and warn where it cannot.

    As `torch.use_deterministic_algorithms` does, which imports PyTorch's compiler to tell it so;
    `lowering` tells it where it is needed.
    """
    torch.set_deterministic_debug_mode("warn")
    # Otherwise each array that an operation is about to fill is filled with NaN before.
    cast("Any", torch.utils.deterministic).fill_uninitialized_memory = False


def begin(threads: int | None) -> None:
    """The state of torch in which this process trains.

    Args:
        threads: on the CPU; None leaves them as they are.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    start_threads()
    deterministic()


def way(config: Config, device: torch.device, epoch: int, *, compiled: bool, stack: int) -> Way:
    """How epochs from `epoch` on are computed here and now."""
    return {
        "from_epoch": epoch,
        "threads": torch.get_num_threads(),
        "compile": compiled,
        "form": config.form,
        "stack": stack,
        "device": device.type,
        "machine": machine(),
        "torch": version("torch"),
    }


def changed(before: Way, now: Way) -> str:
    """What differs, as in `threads=2 (was 1)`; empty for nothing."""
    return ", ".join(
        f"{key}={str(value).lower()} (was {str(before[key]).lower()})"
        for key, value in now.items()
        if key != "from_epoch" and value != before[key]
    )
