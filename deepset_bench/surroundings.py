"""What a process takes from its surroundings, and what it says when they fail it.

Terminals that know few characters, users without a home folder, full disks, folders of others:
none of these is the program's mistake or the user's, and none may end in a traceback.
"""

from __future__ import annotations

import codecs
import errno
import getpass
import io
import logging
import os
import sys
import unicodedata
from contextlib import suppress
from pathlib import Path

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
_IN_THE_WAY = f"a file is where a folder is to be; move it, or {_ELSEWHERE}"
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
# PyTorch and Python have no types of their own for these.
_SAID = {
    "out of memory": _SMALLER,
    "can't allocate memory": _SMALLER,
    "not enough memory": _SMALLER,
    "can't start new thread": _PROCESSES,
}


def prepare(encoding: str | None = None) -> None:
    """Let a process print any text and import libraries that want a user; to be called first.

    Args:
        encoding: of standard output and error; None leaves the terminal's.
    """
    codecs.register_error("look-alike", _look_alike)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=encoding, errors="look-alike")
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


def failure(error: BaseException) -> str | None:
    """A failure of the machine in one line: where, what, what to do; None for any other error."""
    if isinstance(error, OSError) and error.errno is not None:
        where = "output" if error.filename is None else os.fsdecode(error.filename)
        return _line(where, error.strerror or "", _REMEDIES.get(error.errno, ""))
    said = str(error).strip().partition("\n")[0]
    if isinstance(error, MemoryError):
        return _line("not enough memory", said, _SMALLER)
    if isinstance(error, RuntimeError):
        for sign, remedy in _SAID.items():
            if sign in said:
                return _line("", said, remedy)
    return None


def close_output() -> None:
    """Leave what could not be written, so that nobody tries again when the process ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
            continue
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _line(*parts: str) -> str:
    *said, remedy = parts
    text = ": ".join(part for part in said if part)
    return f"{text}; {remedy}" if remedy else text


def _look_alike(error: UnicodeError) -> tuple[str, int]:
    """What to print for characters that a terminal does not know."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(_ascii, error.object[error.start : error.end])), error.end


def _ascii(character: str) -> str:
    if character in _LOOK_ALIKE:
        return _LOOK_ALIKE[character]
    # Without its accents: Å is A and a ring, ² is 2.
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    if plain or not (character.isalpha() or unicodedata.category(character) == "Cs"):
        return plain or "?"
    return character.encode("ascii", "backslashreplace").decode()
