"""`bench data fetch`: sets from where they are published, each by one name."""

from __future__ import annotations

import hashlib
import shlex
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column, Table

from deepset_bench import bounds
from deepset_bench.console import Console
from deepset_bench.data import catalogue
from deepset_bench.data.catalogue import check_new
from deepset_bench.data.download import Progress as Report
from deepset_bench.data.download import download
from deepset_bench.data.gathering import Request
from deepset_bench.data.importing import import_set
from deepset_bench.data.remote import remotes
from deepset_bench.errors import UserError, nearest
from deepset_bench.files import atomic_write, data_place, digest
from deepset_bench.readers.options import Options
from deepset_bench.readers.sources import natural
from deepset_bench.surroundings import of_file

_SAID = ("method", "licence", "reference", "page", "url")  # of a set that its datasheet keeps


def remotes_table() -> Group:
    """One row for every set that can be fetched, and where it is published."""
    table = Table("name", "what", Column("MB", justify="right"))
    pages: dict[str, str] = {}
    for name, remote in remotes().items():
        sizes = [one["bytes"] for one in remote.get("files", [remote]) if "bytes" in one]
        size = f"{sum(sizes) / 1e6:.0f}" if sizes else ""
        table.add_row(name, remote["about"], size)
        pages[name.partition("-")[0]] = remote["page"]
    return Group(table, *(f"{kind}: {page}" for kind, page in pages.items()))


def fetch_set(
    name: str,
    frames: str | None = None,
    formula: str | None = None,
    relabel: str | None = None,
    force: bool = False,
) -> str:
    """Download a published set, check it, and store it under the same name.

    The files stay in `downloads` in the data folder: fetching again reads them from there.

    Args:
        name: one of `remotes`.
        frames, formula, relabel, force: as for `import_set`.

    Returns:
        What was stored, as one line.

    Raises:
        UserError: an unknown name; see `download` and `import_set`.
    """
    known = remotes()
    if name not in known:
        raise UserError(f"unknown published set '{name}'; {nearest(name, known)}")
    check_new(name, force)
    remote = known[name]
    frames = frames or remote.get("frames")
    for part in remote.get("sets", ()):
        if part not in catalogue.names():
            fetch_set(part)
    folder = data_place("downloads")
    options = {"--frames": frames, "--formula": formula, "--relabel": relabel}
    words = ["bench", "data", "fetch", name]
    for option, value in options.items():
        words += [] if value is None else [option, value]
    about = {key: remote[key] for key in _SAID if key in remote}
    alone = bool(remote.get("energies_only"))
    reading = Options(frames=frames, formula=formula, energies_only=alone)
    if "members" in remote:
        pair = _pair(name, remote, folder)
        request = Request((), pair["positions"], pair["forces"], reading)
    elif "sets" in remote:
        request = Request(tuple(map(Path, remote["sets"])), options=reading)
    else:
        request = Request(tuple(_files(remote, folder)), options=reading)
    return import_set(name, request, relabel, force, about | {"command": shlex.join(words)})


def _files(remote: dict[str, Any], folder: Path) -> Iterator[Path]:
    """Where the files of a set are, once each has been fetched and checked."""
    for one in remote.get("files", [remote]):
        file = folder / one["file"]
        with _bar(one["file"]) as report:
            download(one["url"], file, one.get("bytes"), one.get("checksum"), report)
        yield file


def _pair(name: str, remote: dict[str, Any], folder: Path) -> dict[str, Path]:
    """The files of a CP2K pair, joined from an archive unless they are there."""
    members = remote["members"]
    paths = {role: folder / f"{name}-{role}.xyz" for role in members}
    if all(p.is_file() and digest([p]) == members[role]["sha256"] for role, p in paths.items()):
        return paths
    archive = folder / remote["file"]
    with _bar(remote["file"]) as report:
        download(remote["url"], archive, None, None, report)
    patterns = {role: member["pattern"] for role, member in members.items()}
    texts = joined(archive, patterns)
    for role, member in members.items():
        if hashlib.sha256(texts[role]).hexdigest() != member["sha256"]:
            archive.unlink()
            raise UserError(
                f"{remote['url']}: its {member['pattern']} are not the published ones; the archive "
                f"was removed; if you have the trajectory, save it as {paths[role]}"
            )
    for role, path in paths.items():
        with atomic_write(path) as stream:
            stream.write(texts[role])
    archive.unlink()
    return paths


def joined(archive: Path, patterns: dict[str, str]) -> dict[str, bytes]:
    """The members that match each pattern, one after another in the order of their numbers.

    Raises:
        UserError: the archive is damaged, or unpacks to far more than it has; it is removed.
    """
    found: dict[str, dict[str, bytes]] = {role: {} for role in patterns}
    left = bound = bounds.unpacked(archive.stat().st_size)
    try:
        with tarfile.open(archive, "r|gz") as stream:
            for member in stream:
                left -= member.size
                if left < 0:
                    raise bounds.too_large("it unpacks to", bound)
                path = member.name.partition("/")[2]  # below the one folder of the archive
                for role, pattern in patterns.items():
                    if fnmatch(path, pattern) and (file := stream.extractfile(member)):
                        found[role][path] = file.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error, bounds.Unbounded) as error:
        said = of_file(archive, error)
        archive.unlink(missing_ok=True)
        raise UserError(f"{archive}: is damaged ({said}) and was removed; try again") from None
    return {
        role: b"".join(parts[path] for path in sorted(parts, key=natural))
        for role, parts in found.items()
    }


@contextmanager
def _bar(label: str) -> Iterator[Report]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(label, total=None)
        yield lambda here, total: progress.update(task, completed=here, total=total)
