"""Checkpoints: tensors and plain values only, read without unpickling code."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from deepset_bench.errors import UserError
from deepset_bench.files import atomic_write
from deepset_bench.model.reference import EnergyReference


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint, or leave the old one."""
    packed = BytesIO()  # PyTorch says nothing of a full disk
    torch.save(content, packed)
    with atomic_write(path) as stream:
        stream.write(packed.getbuffer())


def load(path: Path, device: torch.device) -> dict[str, Any]:
    """Read what `save` wrote."""
    try:
        return dict(torch.load(path, map_location=device, weights_only=True))
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint; train the run first") from None
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: not a readable checkpoint ({reason}); use --fresh") from None


def pack_reference(reference: EnergyReference) -> dict[str, Any]:
    """An energy reference as tensors and plain values."""
    packed = {
        "species": torch.from_numpy(reference.species.copy()),
        "energies": torch.from_numpy(reference.energies.copy()),
        "constant": reference.constant,
        "rank": reference.rank,
    }
    if reference.molecules is not None:
        packed["molecules"] = torch.from_numpy(reference.molecules.copy())
    return packed


def unpack_reference(packed: dict[str, Any]) -> EnergyReference:
    """What `pack_reference` packed."""
    return EnergyReference(
        packed["species"].cpu().numpy(),
        packed["energies"].cpu().numpy(),
        packed["constant"],
        packed["rank"],
        packed["molecules"].cpu().numpy() if "molecules" in packed else None,
    )
