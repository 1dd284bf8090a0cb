"""Who trains a run: a lock of the file system, and a heartbeat for nodes that it does not reach.

Between processes of one machine the lock (`flock`) tells, at once. File systems of clusters may
keep it to one node, or have none. So whoever holds a run also says who they are in a file that they
touch twice a minute: another node leaves the run alone until that file is five minutes old, by the
clock of the file system. A job that was put back into the queue takes over what it held at once.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from deepset_bench import bounds
from deepset_bench.files import unfinished_folder
from deepset_bench.surroundings import begin_thread, check_is_its_own

LOCK, HELD = ".lock", ".held"
BEAT, DEAD = 30.0, 300.0
"""Seconds between two touches, and after which a file that is not touched is a dead node's."""
_PATIENCE = 0.5
"""Seconds to wait for a lock: whoever only asks whether it is held has it for an instant."""
_PAUSE = 0.02
_NONE = "BENCH_NO_LOCKS"
"""Environment variable: set where locks were tried and do not work, for this and its processes."""
_UNKNOWN = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_TRY = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"


class Hold(AbstractContextManager["Hold"]):
    """A folder that this process holds until the end of `with`.

    Raises:
        BlockingIOError: another holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = _locked(folder / LOCK)
        self._path = folder / HELD
        self._said = json.dumps(_myself())
        try:
            if holder(folder, locks=self._lock is not None, now=_now(self._lock)):
                raise BlockingIOError(errno.EAGAIN, "held by another node", str(folder))
            self._say()
        except BaseException:
            self._unlock()
            raise

    def _say(self) -> None:
        try:
            self._path.unlink(missing_ok=True)  # of a process that was killed
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:  # without locks two may come at once
            raise BlockingIOError(errno.EAGAIN, "held by another", str(self._path)) from None
        except OSError:
            if self._lock is None:
                raise
            return  # a full disk: the lock is held all the same
        with os.fdopen(descriptor, "w") as stream, suppress(OSError):
            stream.write(self._said)
        _BEATS.add(self._path)

    def __exit__(self, *_: object) -> None:
        _BEATS.remove(self._path)
        with suppress(OSError):  # removed, with the folder
            if self._path.read_text() in (self._said, ""):
                self._path.unlink()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def is_held(folder: Path) -> bool:
    """Whether a process holds a folder; asks for no more than the right to read."""
    locks = not os.environ.get(_NONE)
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except (FileNotFoundError, PermissionError):
        return bool(holder(folder, locks=locks))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise
        locks = False
    finally:
        os.close(descriptor)
    return bool(holder(folder, locks=locks))


def holder(folder: Path, *, locks: bool = True, now: float | None = None) -> str:
    """The node whose process holds a folder by its heartbeat; empty where none does.

    Args:
        folder: a run's.
        locks: whether the lock is free and would tell of a process of this machine.
        now: see `heartbeat`.
    """
    them = heartbeat(folder, now)
    if not them or (them["job"] and them["job"] == os.environ.get("SLURM_JOB_ID")):
        return ""
    if them["host"] == socket.gethostname():
        return "" if locks or not _lives(them["pid"]) else str(them["node"])
    return str(them["node"])


def elsewhere(folder: Path) -> str:
    """The node on which a folder is held, where it has another name than this machine."""
    node = str(heartbeat(folder).get("node", ""))
    return "" if node == socket.gethostname() else node


def heartbeat(folder: Path, now: float | None = None) -> dict[str, Any]:
    """`host`, `node`, `pid` and `job` of who touched a folder lately; empty where nobody did.

    Args:
        folder: a run's.
        now: by the clock that the times of its files are of; None for this machine's, which may
            be another.
    """
    path, now = folder / HELD, time.time() if now is None else now
    try:
        # Nor can a time that is to come be a living one's: a clock was put back.
        if abs(now - path.stat().st_mtime) > DEAD:
            return {}
        them = json.loads(bounds.text(path, bounds.OPTION))
    except (OSError, ValueError, RecursionError) as error:
        check_is_its_own(error)
        return {}
    known = {"host": str, "node": str, "pid": int, "job": str}
    whole = isinstance(them, dict) and all(isinstance(them.get(k), t) for k, t in known.items())
    return them if whole and 0 < them["pid"] < 2**31 else {}


def try_locks(folder: Path) -> str:
    """Try the file system's locks between two processes, and note if they do not work.

    Args:
        folder: of the runs; it is made.

    Returns:
        What that means, in one line; empty where they work.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with unfinished_folder(folder, "locks") as place, (place / LOCK).open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            command = [sys.executable, "-S", "-E", "-c", _TRY, stream.name]
            works = subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode != 0
    except OSError as error:
        if error.errno not in _UNKNOWN:
            return ""  # a folder that cannot be written to is said where it matters
        works = False
    if works:
        return ""
    os.environ[_NONE] = "1"
    return (
        f"{folder}: its file system has no locks (flock), so a file {HELD} in each run's folder "
        f"tells who trains it; of a process that was killed on another node for {DEAD / 60:.0f} min"
    )


class _Beats:
    """Touches files from a thread of its own; after a fork only those of the new process."""

    def __init__(self) -> None:
        self._paths: set[Path] = set()
        self._process = 0

    def add(self, path: Path) -> None:
        if self._process != os.getpid():
            paths: set[Path] = set()
            begin_thread(self._beat, paths)
            self._process, self._paths = os.getpid(), paths
        self._paths.add(path)

    def remove(self, path: Path) -> None:
        self._paths.discard(path)

    def _beat(self, paths: set[Path]) -> None:
        while True:
            time.sleep(BEAT)
            for path in list(paths):
                with suppress(OSError):
                    os.utime(path)


_BEATS = _Beats()


def _locked(path: Path) -> int | None:
    """A descriptor that has the lock of a file, which is made; None where there are no locks."""
    end = time.monotonic() + _PATIENCE
    while not os.environ.get(_NONE):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(path.stat(), os.fstat(descriptor)):
                return descriptor
            os.close(descriptor)  # removed meanwhile, with its run
        except BlockingIOError:
            os.close(descriptor)
            if time.monotonic() > end:
                raise
            time.sleep(_PAUSE)
        except OSError as error:
            os.close(descriptor)
            if error.errno in _UNKNOWN:
                return None
            raise
    return None


def _now(lock: int | None) -> float | None:
    """The time by the clock of the file system, which may be that of another machine."""
    if lock is None:
        return None
    try:
        os.utime(lock)
        return os.fstat(lock).st_mtime
    except OSError:  # not on every system, nor of another user's file
        return None


def _myself() -> dict[str, Any]:
    host = socket.gethostname()
    node = os.environ.get("SLURMD_NODENAME", host)
    job = os.environ.get("SLURM_JOB_ID", "")
    return {"host": host, "node": node, "pid": os.getpid(), "job": job}


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return process != os.getpid()
