"""What machines do to commands: no room, no rights, no handles, no memory, at any call."""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from deepset_bench.holding import HELD, LOCK
from tests.kill.commands import COMMANDS, MAY_BE_REFUSED, SLOW, Place
from tests.kill.forks import CHANGES, Ended, Fault

ERRORS = {
    errno.ENOSPC: ("cwsrm", True),
    errno.EDQUOT: ("cwsrm", True),
    errno.EROFS: ("crmd", True),
    errno.EACCES: ("ocrmd", False),
    errno.EMFILE: ("oc", False),
    errno.EIO: ("ocwsrmd", False),
    errno.ESTALE: ("ocwsrmd", False),
    errno.ENOENT: ("crm", False),
    errno.ENAMETOOLONG: ("crm", False),
    errno.EISDIR: ("c", False),
    errno.EFBIG: ("w", False),
    0: (CHANGES, False),
}
"""Which calls fail so, and whether all later ones do, too; 0 is a kill."""
BAR = "%"
"""Of progress, as it is printed to what is no terminal."""


def tries(calls: Sequence[str], count: int | None, seed: object) -> list[Fault]:
    """So many of the calls that a command makes, each with one of its errors; None for all."""
    every = []
    for code, (kinds, sticky) in ERRORS.items():
        number = sum(call[0] in kinds for call in calls)
        every += [Fault(at, code, sticky, kinds) for at in range(1, number + 1)]
    return every if count is None else random.Random(str(seed)).sample(every, count)


def problems(made: Place, name: str, count: int | None, seed: object) -> Iterator[str]:
    """For each try what is wrong; empty where nothing is."""
    words = (COMMANDS | SLOW)[name]
    whole = made.copy(f"{name}-whole")
    calls = made.run(words, whole, Fault(kinds="ocwsrmd"))
    assert calls.status == 0, calls.err
    time.sleep(1.1)  # or a time in whole seconds would count as what is always the same
    other = made.copy(f"{name}-other")
    assert made.run(words, other).status == 0
    expected = common(whole, other)
    for fault in tries(calls.calls, count, f"{seed} {name}"):
        place = made.copy(f"{name}-tried")
        ended = made.run(words, place, fault)
        said = wrong(ended, place, name)
        # In the folder of somebody else's run; or a run is left out, and it is said which.
        told = re.search("not kept in files: |damaged|another run", ended.out)
        if ended.status == 0 and not told and (left := unlike(expected, place)):
            said = said or f"it ends well and leaves other files: {left}"
        again = made.run(words, place)
        if stops := refused(again, name):
            said = said or stops
        elif left := unlike(expected, place):
            said = said or f"then it leaves other files: {left}"
        what = ended.calls[fault.at - 1] if fault.at <= len(ended.calls) else "?"
        how = errno.errorcode.get(fault.code, "killed")
        what = f"{name}: {how} at {what.replace(str(place), '')}"
        yield f"{what}: {said}" if said else ""
        shutil.rmtree(place)


def wrong(ended: Ended, place: Path, name: str) -> str:
    """What should not be said or left so by a command that failed, or went on all the same."""
    logs = "".join(path.read_text() for path in (place / "runs").rglob("log.txt"))
    if "Traceback" in ended.out + ended.err + logs:
        lines = (ended.err + ended.out + logs).strip().splitlines()
        return f"a traceback: {' | '.join(lines[-4:])}"
    if ended.status == -signal.SIGKILL:
        return ""
    if ended.status == 2 and re.search(": (damaged|another run)", ended.err):
        return ""  # one of many runs cannot be read
    if ended.status not in (0, 1):
        return f"exit status {ended.status}: {ended.err}"
    if ended.status == 0 or (name == "sweep" and not ended.err):  # its table tells
        return ""
    said = ended.err.strip().splitlines()[-1 if BAR in ended.err else 0 :]
    if len(said) != 1 or not said[0].startswith("error: "):
        return f"not one line: {ended.err}"
    if not re.match(r"error: (not enough memory|[^;]*: [^;]+); .", said[0]):
        return f"no path or no remedy: {ended.err}"
    return ""


def refused(again: Ended, name: str) -> str:
    """Why a command that failed, or did not, cannot be given again; empty where it can."""
    may_be = again.status == 2 and name.startswith(MAY_BE_REFUSED)
    return f"then it does not go on: {again.err}" if again.status and not may_be else ""


def common(whole: Path, other: Path) -> dict[str, bytes | None]:
    """The files that a command leaves, with the content of those that it always leaves the same."""
    one, two = files(whole), files(other)
    assert one.keys() == two.keys()
    return {name: content if content == two[name] else None for name, content in one.items()}


def unlike(expected: Mapping[str, bytes | None], place: Path) -> list[str]:
    """Files that are there and should not be, the other way round, and those of other content."""
    found = files(place)
    both = found.keys() & expected.keys()
    changed = {name for name in both if expected[name] not in (None, found[name])}
    return sorted(changed | (found.keys() ^ expected.keys()))


def files(home: Path) -> dict[str, bytes]:
    """The files below a folder, but for locks, the cache and what is temporary.

    Outside of runs a killed process leaves what it had not finished; a later one removes it.
    """
    found = {str(path.relative_to(home)): path for path in home.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if not name.startswith(("tmp/", "data/cache/"))
        and path.name not in (LOCK, HELD)
        and ("unfinished" not in name or re.match("runs/(?!.*/evaluation/)", name))
    }


def full_tmpdir(made: Place, name: str) -> str:
    """What is wrong with a command for whose temporary files there is no room."""
    place = made.copy(f"{name}-tmp")
    fault = Fault(2, errno.ENOSPC, sticky=True, kinds="w", part="/tmp/")  # Python tries it once
    ended = made.run(COMMANDS[name], place, fault)
    said = wrong(ended, place, name)
    again = made.run(COMMANDS[name], place)
    shutil.rmtree(place)
    if not said and (ended.status != 1 or "/tmp/" not in ended.err):
        return f"exit status {ended.status}: {ended.err}"
    return said or (f"then it does not go on: {again.err}" if again.status else "")


def within(made: Place, name: str, **limit: int) -> str:
    """What is wrong with a command that may have so many bytes more, or open so many files."""
    place = made.copy(f"{name}-within")
    ended = made.run(COMMANDS[name], place, **limit)
    said = wrong(ended, place, name)
    again = made.run(COMMANDS[name], place)
    shutil.rmtree(place)
    return said or refused(again, name)


def on_disk_of(made: Place, name: str, kilobytes: int, mounted: Path) -> str:
    """The same on a file system of that size beyond what lies there before."""
    size = sum(path.stat().st_size for path in made.home.rglob("*") if path.is_file())
    size += 4096 * sum(1 for _ in made.home.rglob("*"))
    options = f"size={size + kilobytes * 1024}"
    if os.system(f"mount -t tmpfs -o {options} tmpfs {mounted} 2>/dev/null"):
        raise PermissionError("mount")
    try:
        place = mounted / "place"
        shutil.copytree(made.home, place)
        ended = made.run(COMMANDS[name], place)
        said = wrong(ended, place, name)
        os.system(f"mount -o remount,size={size * 2 + (64 << 20)} {mounted}")
        again = made.run(COMMANDS[name], place)
        return said or (f"then it does not go on: {again.err}" if again.status else "")
    finally:
        os.system(f"umount {mounted}")
