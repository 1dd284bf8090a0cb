"""How much is read of a file that anybody may have made, and that it is a file at all.

A few bytes can stand for gigabytes, a pipe never ends, a link leads elsewhere. What is read is
bounded before it is; `BENCH_LIMITS=2` doubles every bound.
"""

from __future__ import annotations

import errno
import math
import os
import stat
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from deepset_bench.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

VARIABLE = "BENCH_LIMITS"
"""Environment variable: what the bounds are multiplied by."""
RECORD = 2**24
"""Bytes of a file of records, such as result.json."""
SHEET = 2**19
"""Bytes of a YAML file of a study."""
OPTION = 2**16
"""Bytes of a YAML file of a configuration."""
ROWS = 2**28
"""Bytes of a table as text."""
_HARMLESS = 2**27
"""Bytes that anything may unpack to."""
_DENSEST = 100
"""Times its size, which nothing that is measured or computed is packed to."""


class Unbounded(ValueError):
    """What a file is that is not read; begins with a verb: "is a pipe", "holds more than ..."."""


def most(usual: int) -> int:
    """A bound as it is here.

    Raises:
        UserError: BENCH_LIMITS is no number above zero.
    """
    text = os.environ.get(VARIABLE) or "1"
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not 0 < factor < math.inf:
        raise UserError(f"{VARIABLE}={text} must be a number greater than zero")
    return int(usual * factor)


def opened(path: Path) -> IO[bytes]:
    """A regular file for reading.

    Raises:
        OSError: it cannot be read, or is a folder.
        Unbounded: a pipe, a device, a socket.
    """
    return os.fdopen(_descriptor(path)[0], "rb")


def _descriptor(path: Path) -> tuple[int, int]:
    """A regular file that is open for reading, and its bytes; see `opened`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # or a pipe would be waited for
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode):
        return descriptor, found.st_size
    os.close(descriptor)
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise Unbounded("is a pipe or a device")


def content(path: Path, usual: int) -> bytes:
    """The whole of a regular file.

    Args:
        path: the file.
        usual: bytes that it may have at most, where nobody changes the bounds.

    Raises:
        OSError, Unbounded: see `opened`; or it is larger.
    """
    bound = most(usual)
    descriptor, size = _descriptor(path)
    try:
        # Without a stream and its buffers: tens of thousands of small files are read at once.
        found = os.read(descriptor, min(size, bound) + 1)
        while len(found) <= bound and (more := os.read(descriptor, bound + 1 - len(found))):
            found += more
    finally:
        os.close(descriptor)
    if len(found) > bound:
        raise too_large("holds", bound)
    return found


def text(path: Path, usual: int) -> str:
    """The same as UTF-8.

    Raises:
        OSError, ValueError: see `content`; or it is none.
    """
    return content(path, usual).decode("utf-8")


def unpacked(size: int) -> int:
    """Bytes that a packed file of a size may unpack to."""
    return most(max(_HARMLESS, _DENSEST * size))


def too_large(holds: str, bound: int) -> Unbounded:
    """What is said of what holds, or unpacks to, more than a number of bytes."""
    return Unbounded(f"{holds} more than {bound / 2**20:.3g} MiB; {VARIABLE}=2 doubles that bound")


def arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Every array of an npz.

    Raises:
        OSError, Unbounded: see `opened`; or it unpacks to far more than it holds.
        ValueError, zipfile.BadZipFile, ...: no npz, or one of Python objects.
    """
    with opened(path) as stream, zipfile.ZipFile(stream) as archive:
        bound = unpacked(path.stat().st_size)
        if sum(member.file_size for member in archive.infolist()) > bound:
            raise too_large("unpacks to", bound)
        return {
            member.filename.removesuffix(".npy"): array(archive, member, bound)
            for member in archive.infolist()
        }


def check_stored(archive: zipfile.ZipFile, size: int) -> None:
    """Whether a zip of this size in bytes holds all that it unpacks to, as PyTorch's do.

    Raises:
        ValueError: it says that it has more.
    """
    found = sum(member.file_size for member in archive.infolist())
    if found > size:
        raise ValueError(f"it says that it has {found:,} bytes")


def array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, bound: int) -> NDArray[Any]:
    """An array of an npz, whose size is known before it is read.

    Args:
        archive, member: where it is.
        bound: bytes that it may have. That of the whole file: zeros alone are packed very densely.

    Raises:
        ValueError: it says more, or holds Python objects.
        Unbounded: it has more.
    """
    from numpy.lib import format as npy  # here: most commands do without NumPy

    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = header(stream)
        size = math.prod(shape) * dtype.itemsize
        if not 0 <= size <= member.file_size or min(shape, default=0) < 0:
            raise ValueError(f"'{member.filename}' says that it has {size:,} bytes")
        if size > bound:
            raise too_large(f"'{member.filename}' unpacks to", bound)
    with archive.open(member) as stream:
        found: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
    return found
