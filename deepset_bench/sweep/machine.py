"""What this machine has."""

from __future__ import annotations


def device(name: str) -> str:
    """The kind of device that `device=name` means here; PyTorch is loaded only if it matters.

    Raises:
        UserError: this machine lacks it.
    """
    if name == "cpu":
        return name
    from deepset_bench.training.setup import choose_device

    return choose_device(name).type
