"""Chance without a state: the same numbers for the same step and place, in any order.

A random generator gives what it gives in the order in which it is asked, which a compiled graph or
several runs in one model do not keep, and a run that goes on has to restore. These are a hash.
"""

from __future__ import annotations

import random

import torch
from torch import Tensor

BITS = 0xFFFFFFFF
NAME = "drawn"
"""Of a module's buffer, (), int64: what its draws of a step depend on; not in a checkpoint."""


def of_step(seed: int, step: int, part: int = 0) -> int:
    """What the draws of a step of a run depend on, in 32 bits; a step may be taken in parts."""
    return random.Random(f"{seed} {step} {part}").getrandbits(32)


def set_drawn(buffers: dict[str, Tensor], values: int | Tensor) -> None:
    """Let the modules that these are buffers of draw anew."""
    for name, buffer in buffers.items():
        if name.rpartition(".")[2] == NAME:
            buffer.copy_(torch.as_tensor(values))


def uniform(drawn: Tensor, *places: Tensor) -> Tensor:
    """Numbers in [0, 1), one for each place, which integers below 2^32 describe.

    Args:
        drawn: () of this step.
        places: each (...), together of the shape of the result.
    """
    found = _mixed(drawn)
    for place in places:
        found = _mixed(found ^ place)
    return found.to(torch.get_default_dtype()) / (BITS + 1)


def kept(p: float, drawn: Tensor, *places: Tensor) -> Tensor:
    """Factors of a dropout: 0 with probability p, else 1 / (1 - p)."""
    return (uniform(drawn, *places) >= p) / (1.0 - p)


def _mixed(x: Tensor) -> Tensor:
    """A bijection of 32 bits in which each changes half of the others (Wellons, lowbias32)."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & BITS
    x = ((x ^ (x >> 15)) * 0x846CA68B) & BITS
    return x ^ (x >> 16)
