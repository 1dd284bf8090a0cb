"""Checkpoints: tensors and plain values only, read without unpickling code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from ase.data import chemical_symbols
from torch import Tensor, nn

from deepset_bench import file_version
from deepset_bench.errors import UserError
from deepset_bench.files import atomic_write, sync
from deepset_bench.model.energy_reference import EnergyReference
from deepset_bench.reading import Kinds, lacking
from deepset_bench.surroundings import of_file
from deepset_bench.training import counted

_REMEDY = "bench train ... --fresh trains the run again"
_LAST: Kinds = {
    **dict.fromkeys(("potential", "optimizer", "averages", "rate"), dict),
    **{"epochs": int, "lowest": float, "seconds": float, "run": str},
}
_BEST: Kinds = {"potential": dict, "reference": dict, "epochs": int, "run": str}


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint, or leave the old one."""
    packed = BytesIO()  # PyTorch says nothing of a full disk
    torch.save(file_version.marked(content), packed)
    with atomic_write(path) as stream:
        stream.write(packed.getbuffer())


def save_together(contents: Mapping[Path, dict[str, Any]]) -> None:
    """Write the checkpoints of runs that are trained as one, so that all or none are of an epoch.

    Whenever the process is killed: each waits beside its file until all of them do, and `settle`
    then ends what was begun.
    """
    if len(contents) == 1:
        save(*next(iter(contents.items())))
        return
    for path, content in contents.items():
        save(waiting(path), content)
    for path in contents:
        _come_in(path)


def settle(paths: Sequence[Path]) -> None:
    """End a `save_together` that was killed: where every run has the epoch, all get it, else none.

    The epoch is told by the optimiser's steps: of a run that has diverged they go on with the
    others', and its epochs do not.

    Args:
        paths: of the checkpoints of the runs that go on.
    """
    new = [path for path in paths if waiting(path).exists()]
    steps = {_steps(waiting(path) if path in new else path) for path in paths if new}
    for path in new:
        if len(steps) == 1 and None not in steps:
            _come_in(path)
        else:
            waiting(path).unlink()


def waiting(path: Path) -> Path:
    """Where a checkpoint is until those of the runs that are trained with it are on disk, too."""
    return path.with_suffix(f".next{path.suffix}")


def _come_in(path: Path) -> None:
    waiting(path).replace(path)
    sync(path.parent)


def _steps(path: Path) -> int | None:
    """Of the optimiser in a checkpoint; None where there is none."""
    try:
        return int(load_last(path, torch.device("cpu"))["optimizer"]["state"][0]["step"])
    except (UserError, LookupError, TypeError, ValueError, RuntimeError):
        return None


def load(path: Path, device: torch.device) -> dict[str, Any]:
    """Read what `save` wrote.

    Raises:
        UserError: there is no such file, or it is not a whole checkpoint.
    """
    try:
        whole = counted.archive(path)
        content = torch.load(whole, map_location=device, weights_only=True)
        found = "" if isinstance(content, dict) else "it is not a mapping"
        counted.check_values(content)
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint; train the run first") from None
    except Exception as error:  # of zip, pickle and torch, and of any text or none
        found = of_file(path, error)
    if found:
        raise UserError(f"{path}: not a readable checkpoint ({found}); {_REMEDY}")
    return file_version.known(path, content)


def load_last(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint that a run is to go on from.

    Raises:
        UserError: see `load`; something that training needs is missing or not finite.
    """
    return _whole(path, device, _LAST)


def load_best(path: Path, device: torch.device) -> dict[str, Any]:
    """Read the parameters that a run is judged by.

    Raises:
        UserError: see `load_last`.
    """
    return _whole(path, device, _BEST)


def _whole(path: Path, device: torch.device, kinds: Kinds) -> dict[str, Any]:
    content = load(path, device)
    found = lacking(content, kinds)
    if not found and content["epochs"] < 1 and not content.get("diverged"):
        found = f"epochs is {content['epochs']}"
    for name, value in {} if found else content["potential"].items():
        if wrong := not_stored(value):
            found = f"{name} is {wrong}"
        elif not value.isfinite().all():
            found = f"{name} is not finite"
    if found:
        raise UserError(f"{path}: is not whole ({found}); {_REMEDY}")
    return content


def check_parameters(found: dict[str, Any], potential: nn.Module, *, finite: bool = True) -> None:
    """Whether stored tensors are parameters and buffers of a potential.

    Raises:
        ValueError: a tensor is missing, of another shape or kind, or not finite; or unknown.
    """
    expected = potential.state_dict()
    if unknown := [str(name) for name in found if name not in expected]:
        raise ValueError(f"{unknown[0]} is not known")
    for name, like in expected.items():
        check_tensor(found, name, like.shape, like.is_floating_point(), finite=finite)


def check_moments(found: dict[str, Any], potential: nn.Module) -> None:
    """Whether what is stored of an optimiser and of averages of the loss is a potential's.

    Raises:
        LookupError, TypeError, AttributeError, ValueError: it is not.
    """
    size = sum(parameter.numel() for parameter in potential.parameters())
    moments = found["optimizer"]["state"][0]
    check_tensor(moments, "step", (), True)
    for name in ("exp_avg", "exp_avg_sq"):
        check_tensor(moments, name, (size,), True)
    for stage in found["averages"]:
        check_tensor(found["averages"], stage, (), True)


def not_stored(value: Any) -> str:
    """Why a value is no tensor whose numbers are all there, in words; empty where it is one."""
    if not isinstance(value, Tensor):
        return "no tensor"
    if value.layout != torch.strided or value.is_quantized or value.is_nested or value.is_meta:
        return "no tensor that holds its numbers"
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        return f"{tuple(value.shape)}, more than is stored"
    return ""


def check_tensor(
    found: dict[str, Any], name: str, shape: Sequence[int], floating: bool, *, finite: bool = True
) -> Tensor:
    """The tensor of a name.

    Raises:
        ValueError: there is none of that shape and kind, or it is not finite.
    """
    tensor = found.get(name)
    if wrong := not_stored(tensor):
        raise ValueError(f"{name} is {'missing' if tensor is None else wrong}")
    assert isinstance(tensor, Tensor)
    if tensor.shape != torch.Size(shape) or tensor.is_floating_point() != floating:
        kind = "numbers" if floating else "whole numbers"
        raise ValueError(
            f"{name} is {tuple(tensor.shape)} of {tensor.dtype}, not {tuple(shape)} {kind}"
        )
    if finite and not tensor.isfinite().all():
        raise ValueError(f"{name} holds NaN or infinity")
    return tensor


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


def unpack_reference(packed: dict[str, Any], species: Tensor) -> EnergyReference:
    """What `pack_reference` packed.

    Args:
        packed: of a checkpoint.
        species: (s,) atomic numbers of its potential.

    Raises:
        ValueError: it is no reference for these elements.
    """
    s = len(species)
    own = check_tensor(packed, "species", (s,), False)
    if not torch.equal(own, species):
        raise ValueError("the elements of the reference are not those of the potential")
    energies = check_tensor(packed, "energies", (s,), True)
    constant, rank = packed.get("constant"), packed.get("rank")
    if not isinstance(constant, float) or not math.isfinite(constant):
        raise ValueError("constant is not a finite number")
    if not isinstance(rank, int) or not 0 <= rank <= s:
        raise ValueError("rank is not a number of elements")
    molecules = packed.get("molecules")
    if molecules is not None:
        rows = len(molecules) if isinstance(molecules, Tensor) and molecules.dim() else 0
        molecules = check_tensor(packed, "molecules", (rows, s + 2), False).cpu().numpy()
    return EnergyReference(own.cpu().numpy(), energies.cpu().numpy(), constant, rank, molecules)


def unpack_species(found: dict[str, Any]) -> Tensor:
    """(s,) atomic numbers of a stored potential.

    Raises:
        ValueError: they are none, or not in ascending order.
    """
    stored = found.get("species")
    n = len(stored) if isinstance(stored, Tensor) and stored.dim() else 0
    species = check_tensor(found, "species", (n,), False)
    numbers = species.tolist()
    if not numbers or numbers != sorted(set(numbers) & set(range(1, len(chemical_symbols)))):
        raise ValueError("species is no ascending list of atomic numbers")
    return species
