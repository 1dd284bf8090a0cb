"""What a process takes from its surroundings, and what it says when they fail it.

Terminals that know few characters, users without a home folder, full disks, folders of others:
none of these is the program's mistake or the user's, and none may end in a traceback.
"""

from __future__ import annotations

import codecs
import errno
import getpass
import importlib
import io
import logging
import mmap
import os
import platform
import re
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType

from deepset_bench import __version__
from deepset_bench.errors import NotInstalled, UserError, one_line

_PACKAGES = ("torch", "torch-geometric", "numpy", "ase")
"""What numbers are computed with."""
STUDY = "BENCH_STUDY"
"""Environment variable: the folder of the study that a command is about, if one was named."""
SHEET = "study.yaml"
"""What makes a folder a study."""


def of_study(name: str) -> list[Path]:
    """A file or folder of the study that this process is about: one path, or none."""
    if not (folder := os.environ.get(STUDY)):
        return []
    path = Path(folder) / name
    return [path] if path.exists() else []


_LOOK_ALIKE = {  # what Unicode does not take apart
    "—": "-",
    "–": "-",
    "−": "-",
    "×": "x",
    "·": ".",
    "•": "*",
    "±": "+/-",
    "≤": "<=",
    "≥": ">=",
    "→": "->",
    "°": "deg",
    "μ": "u",
    "√": "sqrt",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
}
_ELSEWHERE = "name another folder (--out, runs_dir=, BENCH_RUNS, BENCH_DATA)"
_RIGHTS = f"get the right to it, or {_ELSEWHERE}"
_ROOM = "make room; the same command goes on with what is whole"
_IN_THE_WAY = f"a file stands where a folder must be; move it, or {_ELSEWHERE}"
_GONE = f"a folder on the way to it was removed; make it again, or {_ELSEWHERE}"
_PROCESSES = "allow more processes (ulimit -u), or end other programs"
_SMALLER = "ask for fewer frames or a lower trainer.batch_size=, or end other programs"
_AGAIN = "try again when the disk or the network works"
_REMEDIES = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "allow larger files (ulimit -f)",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: _ELSEWHERE,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
    errno.EISDIR: "name a file, or move the folder",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENFILE: "end other programs",
    errno.EAGAIN: _PROCESSES,
    errno.ENOMEM: _SMALLER,
    errno.EIO: _AGAIN,
    errno.ESTALE: _AGAIN,
}
_TOLD = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EROFS)
_OF_A_THREAD = 2**27 + 2**24
"""Bytes of addresses that a thread takes when it begins: what malloc reserves for it, its stack."""
_OF_ANY = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_MISNAMED = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL)
# PyTorch's errors have no types of their own.
_NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "failed to map segment",
)
_TAKEN = "wait for the program that holds the GPU, or name another in CUDA_VISIBLE_DEVICES"
_AMOUNT = re.compile(r"allocate (\d[\d.]* ?\w+)")
_OPENING = re.compile(r"open file failed.*?: (?P<what>[^,:]+)(?:, file path: (?P<path>.+))?\Z")

# Escape sequences, and what turns the direction of writing about.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def prepare(encoding: str | None = None) -> None:
    """Let a process print any text and import libraries that want a user; to be called first.

    Args:
        encoding: of standard output and error; None leaves the terminal's.

    Raises:
        UserError: the working folder is not there any more.
    """
    codecs.register_error("look-alike", _look_alike)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=encoding, errors="look-alike")
    try:
        Path.cwd()
    except FileNotFoundError:  # some libraries end the process for it
        raise UserError("the working folder was removed; go to another") from None
    # matplotlib keeps a list of fonts at home and complains where it cannot.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    # ASE and matplotlib ask for a home folder, PyTorch and W&B for a name.
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = os.devnull
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = str(os.getuid())


def begin_thread(function: Callable[..., object], *given: object) -> None:
    """Call a function from a thread that ends with the process.

    Raises:
        MemoryError: there is hardly any. Python would wait for ever for a thread that finds none
            before its first line.
    """
    try:
        mmap.mmap(-1, _OF_A_THREAD, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError:
        raise MemoryError from None
    threading.Thread(target=function, args=given, daemon=True).start()


def failure(error: BaseException) -> str | None:
    """A failure of the machine in one line: where, what, what to do; None for any other error."""
    if isinstance(error, OSError) and error.errno is not None:
        written = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
        where = "output" if written else ""  # files have names, a stream that is a file has none
        where = where if error.filename is None else str(error.filename)
        remedy = _REMEDIES.get(error.errno, "")
        if error.filename is not None and error.strerror == os.strerror(errno.ENOENT):
            remedy = _GONE
        return _line(where, error.strerror or "", remedy)
    said = str(error) if isinstance(error, RuntimeError | ImportError) else ""
    if isinstance(error, MemoryError) or any(sign in said for sign in _NO_MEMORY):
        amount = _AMOUNT.search(str(error))
        asked_for = f"{amount[1]} were asked for" if amount else ""
        return _line("not enough memory", asked_for, _SMALLER)
    if isinstance(error, ImportError) and (refused := said_within(error, error.path)):
        return failure(refused)
    if opening := _OPENING.search(said):
        codes = (code for code in _REMEDIES if os.strerror(code) == opening["what"])
        return _line(opening["path"] or "", opening["what"], _REMEDIES.get(next(codes, 0), ""))
    if "busy or unavailable" in said:
        return _line("", said.splitlines()[0], _TAKEN)
    if "can't start new thread" in said:
        return _line("", said, _PROCESSES)
    return None


def require(module: str, extra: str) -> ModuleType:
    """Import an optional dependency.

    Raises:
        NotInstalled: names the extra that installs it.
        ImportError: it is there, and the machine had no memory or no files left for it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        problem = f"{(error.name or module).partition('.')[0]} is not installed"
    except ImportError as error:
        if failure(error) is not None:
            raise
        problem = f"{module} cannot be imported ({str(error).splitlines()[0]})"
    raise NotInstalled(f"{problem}; it comes with: pip install 'deepset-bench[{extra}]'")


def said_within(error: BaseException, place: str | None) -> OSError | None:
    """What the system refused to a program that another one called, from the words of its error.

    Args:
        error: of the compiler, say, with what it printed.
        place: where it writes its files; None where that is not known.
    """
    said = f"{error} {error.__cause__ or ''} {error.__context__ or ''}"
    for code in _TOLD:
        if (what := os.strerror(code)) in said:
            return OSError(code, what, place)
    return None


def of_file(path: Path, error: Exception) -> str:
    """What an error says of the content of a file, or that a person named another by mistake.

    Raises:
        OSError: the error itself, which says something of the machine and nothing of the file.
    """
    if not isinstance(error, OSError) or error.errno is None:
        return one_line(error)
    if error.errno not in _MISNAMED:
        error.filename = error.filename or str(path)  # a failed read names none
        raise error
    return error.strerror or one_line(error)


def check_is_its_own(error: Exception) -> None:
    """Raise the error of a file if any other would have met it, which says nothing of this one.

    To be asked where a file that cannot be read counts as damaged or as none.

    Raises:
        OSError: no more files can be opened, or there is no memory.
    """
    if isinstance(error, OSError) and error.errno in _OF_ANY:
        raise error


def versions(packages: Iterable[str] = ()) -> dict[str, str]:
    """Of the program, of Python and of the packages that numbers depend on; imports none.

    Args:
        packages: more of them; those that are not installed are left out.
    """
    from importlib.metadata import PackageNotFoundError, version

    found = {"deepset-bench": __version__, "python": platform.python_version()}
    found |= {name: version(name) for name in _PACKAGES}
    for name in packages:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


@cache
def is_installed(package: str) -> bool:
    """Whether there is a package of this name, as pip knows it; imports none."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def visible(text: str) -> str:
    """The text with every character that would steer a terminal as its code; lines stay lines."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def say(text: object, end: str = "\n", *, error: bool = False) -> None:
    """Print text of any origin."""
    print(visible(str(text)), end=end, file=sys.stderr if error else sys.stdout)


def close_output() -> None:
    """Leave what could not be written, so that nobody tries again when the process ends."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _line(where: str, what: str, remedy: str) -> str:
    text = f"{where}: {what}" if where and what else where or what
    return f"{text}; {remedy}" if remedy else text


def _look_alike(error: UnicodeError) -> tuple[str, int]:
    """What to print for characters that a terminal does not know."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    with suppress(UnicodeEncodeError):  # names of files come as bytes where the locale is ASCII
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(map(_ascii, text)), error.end


def _ascii(character: str) -> str:
    if character.isascii():
        return character
    if character in _LOOK_ALIKE:
        return _LOOK_ALIKE[character]
    # Without its accents: Å is A and a ring, ² is 2.
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    if plain or not (character.isalpha() or unicodedata.category(character) == "Cs"):
        return plain or "?"
    return character.encode("ascii", "backslashreplace").decode()
