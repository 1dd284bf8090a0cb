"""Numbers too small to matter that processors take long over: float32's denormals, below 1.2e-38.

The tail of a Gaussian is denormal a few widths further out, and on Intel's processors each product
with such a number takes as long as a hundred others, a training step up to three times as long. So
tables hold none, nor numbers whose products are, and while a model computes they count as zero.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

TAIL = 1e-18
"""Smallest magnitude kept beside numbers near 1; a product of two that are kept is not denormal."""

EACH = 1 << 16
"""Numbers in an array for each thread: more than torch leaves to one thread alone."""


def without_tails(values: Tensor) -> Tensor:
    """(...) real numbers of order 1, those below TAIL in magnitude set to zero."""
    return torch.where(values.abs() < TAIL, 0.0, values)


@contextmanager
def flushed() -> Iterator[None]:
    """Let this thread take denormal numbers as zero for a while; also a function's decorator.

    For a while alone, because others rely on them: scipy's cKDTree crashes without.
    """
    before = sys.float_info.min / 2 == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


@contextmanager
def unflushed() -> Iterator[None]:
    """Let this thread keep denormal numbers for a while."""
    before = sys.float_info.min / 2 == 0.0
    torch.set_flush_denormal(False)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


@flushed()
def start_threads() -> None:
    """Start torch's own threads, which for good treat denormal numbers as they are treated now.

    To be called before anything is computed, and after the number of threads is set.
    """
    torch.zeros(torch.get_num_threads() * EACH).add_(1.0)
