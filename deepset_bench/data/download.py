"""One file from the network: goes on where it stopped, is checked before it gets its name."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from filelock import FileLock, Timeout

from deepset_bench import bounds
from deepset_bench.errors import UserError
from deepset_bench.files import digest, naming

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here and, where known, those there are in all."""

_PATIENCE = 30.0  # seconds without a byte
_BLOCK = 2**18  # bytes
_LARGEST = 2**31  # bytes of a file whose size nobody has published


def download(
    url: str, target: Path, size: int | None, checksum: str | None, progress: Progress
) -> None:
    """Fetch `url` to `target` by way of `target`.part, which a later call goes on with.

    A file that is there already, fetched or put there by hand, is only checked.

    Args:
        url: of the file.
        target: where it goes.
        size: bytes of the file, where known.
        checksum: `algorithm:hexadecimal` of the file; None if its content will be checked.
        progress: see `Progress`.

    Raises:
        UserError: the server is out of reach or does not have the file, the transfer stopped, or
            the checksum is another; one line with what to do.
        OSError: the disk is full, or the folder not to be written to.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock"), timeout=0):
            if target.exists():
                if not _is(target, checksum):
                    raise UserError(
                        f"{target}: is not the published file; remove it, and try again"
                    )
                return
            _check_room(part, size)
            _transfer(url, target, part, size, progress)
            if not _is(part, checksum):
                part.unlink()
                raise UserError(
                    f"{url}: what came is not the published file (its checksum is another) and was "
                    f"removed; try again, or {_by_hand(target)}"
                )
            part.replace(target)
    except Timeout:
        raise UserError(f"{target}: another process is fetching it; wait for that one") from None


def _transfer(url: str, target: Path, part: Path, size: int | None, progress: Progress) -> None:
    """Append to `part` what is missing of it, and no byte beyond what was published.

    Raises:
        UserError: see `download`; more comes than there is to come.
    """
    here = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "deepset-bench", "Accept-Encoding": "identity"}
    if here:
        headers["Range"] = f"bytes={here}-"
    try:
        response = _opener(url).open(Request(url, headers=headers), timeout=_PATIENCE)
    except HTTPError as error:
        error.close()
        if error.code == 416:  # nothing is missing, or what is here is not of this file
            return
        raise UserError(
            f"{url}: the server answers {error.code} {error.reason}; {_by_hand(target)}"
        ) from None
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"{url}: out of reach ({reason}); connect to the network, or {_by_hand(target)}"
        ) from None
    with response:
        if response.status != 206:  # the whole file, whatever was asked for
            here = 0
        length = response.headers.get("Content-Length") or ""
        total = here + int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None
        most = bounds.most(_LARGEST) if size is None else size
        with naming(part), part.open("ab" if here else "wb") as stream:
            while block := _receive(response, url, here, total):
                here += len(block)
                if here > most or (total or 0) > most:
                    stream.truncate(0)
                    raise UserError(
                        f"{url}: the server sends more than {most / 1e6:.1f} MB, which the "
                        f"published file has; {_by_hand(target)}"
                    )
                stream.write(block)
                progress(here, total)
            stream.flush()
            os.fsync(stream.fileno())
    if total is not None and here < total:
        raise _stopped(url, here, total, "the connection was closed")


class _Redirects(HTTPRedirectHandler):
    """From https to https alone, and never to a file or to FTP."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        if not newurl.startswith("https:") and (req.type == "https" or newurl[:5] != "http:"):
            fp.close()
            raise URLError(f"it refers to {newurl:.200}, which is not fetched from")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(url: str) -> OpenerDirector:
    """What opens http and https, and nothing else.

    Raises:
        UserError: another scheme.
    """
    if not url.startswith(("https:", "http:")):
        raise UserError(f"{url}: only http and https are fetched from")
    opener = OpenerDirector()
    kinds = (ProxyHandler, HTTPHandler, HTTPSHandler, _Redirects, HTTPErrorProcessor)
    for kind in (*kinds, HTTPDefaultErrorHandler):
        opener.add_handler(kind())
    return opener


def _receive(response: Any, url: str, here: int, total: int | None) -> bytes:
    try:
        block: bytes = response.read(_BLOCK)
    except (OSError, HTTPException) as error:
        raise _stopped(url, here, total, str(error) or type(error).__name__) from None
    return block


def _stopped(url: str, here: int, total: int | None, reason: str) -> UserError:
    of = "" if total is None else f" of {total / 1e6:.1f}"
    return UserError(
        f"{url}: stopped after {here / 1e6:.1f}{of} MB ({reason}); the same command resumes there"
    )


def _check_room(part: Path, size: int | None) -> None:
    here = part.stat().st_size if part.exists() else 0
    free = shutil.disk_usage(part.parent).free
    if size is not None and free < size - here:
        said = f"has room for {free / 1e6:.0f} MB, but {(size - here) / 1e6:.0f} MB are to come"
        raise OSError(errno.ENOSPC, said, str(part.parent))


def _is(path: Path, checksum: str | None) -> bool:
    if checksum is None:
        return True
    algorithm, _, expected = checksum.partition(":")
    return digest([path], algorithm) == expected


def _by_hand(target: Path) -> str:
    return f"fetch it by other means, save it as {target} and run the same command again"
