"""Machine code of training steps, kept from run to run in the user's cache folder.

An entry is a folder named by the `fingerprint` of what was compiled: a library as PyTorch's
compiler makes it (one C++ file with every kernel and the function that calls them), the tensors
that are constants in it, and their checksum. It is loaded without the compiler, whose modules take
longer to import than a short run trains. Who finds none makes one; who finds a damaged one, too.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor

from deepset_bench.errors import UserError
from deepset_bench.files import cache_home, digest, unfinished_folder

MOST = 64
"""Entries that are kept, of about 1 MB each; those that were used last."""

_ENTRY = "inductor_entry_cpp"  # what PyTorch calls the function of a library
_LIBRARY, _CONSTANTS, _CHECKSUM = "step.so", "constants.pt", "checksum.json"
_PATIENCE = 600.0  # seconds to wait for another process that compiles the same

Step = Callable[[Sequence[Tensor]], tuple[Tensor, ...]]


def folder() -> Path | None:
    """Where entries are; None for a user without a home."""
    home = cache_home()
    return home / "steps" if home else None


def kept(key: str, make: Callable[[], tuple[Path, list[Tensor]]]) -> Step:
    """The step of a fingerprint; of several processes that want it, one makes it.

    Args:
        key: the fingerprint, letters and digits.
        make: compiles it: a library and its constants.
    """
    place = folder()
    if place is None:
        return load(key, *make())
    with _turn(place, key):
        if step := _found(place / key):
            return step
        library, constants = make()
        try:
            _keep(place / key, library, constants)
        except OSError:  # no room, or no right to write: it was compiled all the same
            return load(key, library, constants)
    return _found(place / key) or load(key, library, constants)


def load(name: str, library: Path, constants: Sequence[Tensor]) -> Step:
    """The function of a library that PyTorch's compiler made for the CPU."""
    # Where it reads the address of one of PyTorch's functions.
    address = torch._C._dynamo.guards._torchinductor_pyobject_tensor_data_ptr  # type: ignore[attr-defined]
    os.environ["_TORCHINDUCTOR_PYOBJECT_TENSOR_DATA_PTR"] = str(address)
    loader = ExtensionFileLoader(f"{name}.{_ENTRY}", str(library))
    spec = spec_from_file_location(loader.name, library, loader=loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    entry, rest = getattr(module, _ENTRY), list(constants)
    handles = torch._C._aoti.unsafe_alloc_void_ptrs_from_tensors
    tensors = torch._C._aoti.alloc_tensors_by_stealing_from_void_ptrs

    def step(given: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return tuple(tensors(entry(handles([*given, *rest]))))

    return step


@contextmanager
def _turn(place: Path, key: str) -> Iterator[None]:
    """Let one process at a time look for an entry and make it, where the file system can."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place / f"{key}.lock", timeout=_PATIENCE)
        lock.acquire()
    except (OSError, NotImplementedError):  # a time-out is an OSError, too
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _found(entry: Path) -> Step | None:
    """The step of an entry, unless it is absent or not what was written."""
    try:
        stored = json.loads((entry / _CHECKSUM).read_text(encoding="utf-8"))
        if stored != {name: digest([entry / name]) for name in (_LIBRARY, _CONSTANTS)}:
            return None
        constants = torch.load(entry / _CONSTANTS, weights_only=True)
        step = load(entry.name, entry / _LIBRARY, constants)
    except (OSError, ValueError, UserError, ImportError):
        return None
    with suppress(OSError):
        os.utime(entry)
    return step


def _keep(entry: Path, library: Path, constants: list[Tensor]) -> None:
    with unfinished_folder(entry.parent) as place:
        made = place / entry.name
        made.mkdir()
        shutil.copyfile(library, made / _LIBRARY)
        torch.save(constants, made / _CONSTANTS)
        checksums = {name: digest([made / name]) for name in (_LIBRARY, _CONSTANTS)}
        (made / _CHECKSUM).write_text(json.dumps(checksums), encoding="utf-8")
        if entry.exists():  # damaged
            shutil.rmtree(entry)
        made.rename(entry)
    entries = [path for path in entry.parent.iterdir() if (path / _CHECKSUM).is_file()]
    for old in sorted(entries, key=lambda path: path.stat().st_mtime)[:-MOST]:
        shutil.rmtree(old, ignore_errors=True)
        old.with_name(f"{old.name}.lock").unlink(missing_ok=True)
