"""The CUDA devices of this machine that a sweep may use, by the names CUDA_VISIBLE_DEVICES has."""

from __future__ import annotations

import os
import re
import subprocess

_GPU = re.compile(r"GPU (\d+):")
_INSTANCE = re.compile(r"\s+MIG .*\(UUID: (MIG-[^)]+)\)")


def cuda_devices() -> tuple[str, ...]:
    """Each once, in order: those that the environment leaves, else all there are.

    A part of a GPU (MIG) counts as a device. PyTorch sees one of them at most in a process, so they
    are counted by their names, and where the environment names nothing as `nvidia-smi` lists them.
    """
    import torch

    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible:
        names = [name.strip() for name in visible.split(",")]
        parts = [name for name in names if name.startswith("MIG-")]
        return tuple(dict.fromkeys(parts or names[:count]))
    if count and (listed := _listed(_asked("-L"))):
        return listed
    return tuple(str(number) for number in range(count))


def for_one_process() -> bool:
    """Whether a GPU lets one process in at a time."""
    modes = _asked("--query-gpu=compute_mode", "--format=csv,noheader")
    return "Exclusive_Process" in modes.split()


def _listed(text: str) -> tuple[str, ...]:
    """What `nvidia-smi -L` lists, where a GPU is taken apart: its parts, whole ones by number."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if gpu := _GPU.match(line):
            found[gpu[1]] = []
        elif found and (part := _INSTANCE.match(line)):
            found[list(found)[-1]].append(part[1])
    if not any(found.values()):
        return ()
    return tuple(name for gpu, parts in found.items() for name in parts or [gpu])


def _asked(*question: str) -> str:
    """What nvidia-smi says; empty where it cannot be asked."""
    try:
        asked = ["nvidia-smi", *question]
        return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
