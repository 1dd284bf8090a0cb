"""Downloads against a local server: whole, or one line that says what to do."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from filelock import FileLock

from deepset_bench.data import download as module
from deepset_bench.data.download import download
from deepset_bench.errors import UserError
from deepset_bench.surroundings import failure
from tests.data.server import serve

CONTENT = bytes(range(256)) * 4000  # more than one block
CHECKSUM = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture
def site():
    with serve() as site:
        site.content = CONTENT
        yield site


@pytest.fixture
def target(tmp_path):
    return tmp_path / "downloads" / "file.npz"


def fetch(site, target, checksum=CHECKSUM):
    """What the progress bar was told."""
    seen = []
    download(
        site.url, target, len(CONTENT), checksum, lambda here, total: seen.append((here, total))
    )
    return seen


def refused(site, target, expected, **options):
    with pytest.raises(UserError, match=expected) as caught:
        fetch(site, target, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def failed(site, target, expected):
    """A failure of the machine, not of the user."""
    with pytest.raises(OSError, match=r"\[Errno") as caught:
        fetch(site, target)
    assert re.search(expected, failure(caught.value))


def names(target):
    return sorted(path.name for path in target.parent.iterdir() if path.suffix != ".lock")


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
@pytest.mark.parametrize("length", [True, False])
def test_a_whole_file(site, target, length, algorithm):
    site.length = length
    seen = fetch(site, target, f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}")
    assert target.read_bytes() == CONTENT
    assert names(target) == ["file.npz"]
    assert seen[-1] == (len(CONTENT), len(CONTENT) if length else None)
    assert [here for here, _ in seen] == sorted(here for here, _ in seen)


def test_what_is_there_is_only_checked(site, target):
    fetch(site, target)
    fetch(site, target)
    assert site.requests == [None]
    target.write_bytes(b"other")
    refused(site, target, "file.npz: is not the published file; remove it")
    assert target.read_bytes() == b"other"


def test_a_transfer_that_stopped_goes_on(site, target):
    for k in (1, 2):
        site.stop_after = 300_000
        refused(site, target, f"stopped after 0.{3 * k} of 1.0 MB .* same command resumes there")
        assert names(target) == ["file.npz.part"]
    site.stop_after = None
    seen = fetch(site, target)
    assert target.read_bytes() == CONTENT
    assert site.requests == [None, "bytes=300000-", "bytes=600000-"]
    assert seen[0][0] > 600_000
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_a_server_without_ranges_starts_again(site, target):
    site.stop_after, site.ranges = 300_000, False
    refused(site, target, "stopped after 0.3")
    site.stop_after = None
    seen = fetch(site, target)
    assert target.read_bytes() == CONTENT
    assert seen[0][0] < 300_000


def test_a_server_that_falls_silent_is_left(site, target, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.5)
    site.stop_after, site.stall = 300_000, True
    refused(site, target, r"stopped after 0.\d of 1.0 MB \(timed out\)")
    monkeypatch.undo()
    site.stop_after, site.stall = None, False
    fetch(site, target)
    assert target.read_bytes() == CONTENT


KILLED = """
import os, signal, sys
from pathlib import Path
from deepset_bench.data.download import download

def progress(here, total):
    if here > 500_000:
        os.kill(os.getpid(), signal.SIGKILL)

download(sys.argv[1], Path(sys.argv[2]), None, None, progress)
"""


def test_a_killed_process_leaves_what_it_had(site, target):
    process = subprocess.run([sys.executable, "-c", KILLED, site.url, str(target)])
    assert process.returncode == -signal.SIGKILL
    assert names(target) == ["file.npz.part"]
    fetch(site, target)
    assert target.read_bytes() == CONTENT
    assert site.requests[1] is not None


def test_another_checksum_removes_what_came(site, target):
    refused(site, target, "not the published file .* removed; try again", checksum="md5:00")
    assert names(target) == []
    site.content = b"a page that says: log in\n"
    refused(site, target, "not the published file")
    site.content = CONTENT
    fetch(site, target)
    assert target.read_bytes() == CONTENT


def test_a_wrong_beginning_is_not_kept(site, target):
    target.parent.mkdir()
    part = target.with_name("file.npz.part")
    for wrong in (b"x" * 1000, CONTENT + b"x"):
        part.write_bytes(wrong)
        refused(site, target, "not the published file")
        assert names(target) == []
    fetch(site, target)
    assert target.read_bytes() == CONTENT


def test_a_whole_part_is_taken(site, target):
    target.parent.mkdir()
    target.with_name("file.npz.part").write_bytes(CONTENT)
    fetch(site, target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_answers_that_are_no_file(site, target, status):
    site.status = status
    message = refused(site, target, f"the server answers {status} ")
    assert f"save it as {target} and run the same command again" in message
    assert names(target) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/file", "http://nowhere.invalid/file"])
def test_offline(site, target, url):
    site.url = url
    message = refused(site, target, "out of reach .* connect to the network")
    assert f"save it as {target}" in message
    assert names(target) == []


def test_no_room(site, target, monkeypatch):
    free = SimpleNamespace(free=100_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: free)
    failed(site, target, "downloads: has room for 0 MB, but 1 MB are to come; make room")
    assert site.requests == []


def test_a_disk_that_fills_up(site, target, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: os.write(os.open("/dev/full", 1), b"x"))
    failed(site, target, "file.npz.part: No space left on device; make room")


def test_a_folder_that_cannot_be_made(site, target):
    target.parent.write_text("a file, not a folder")
    failed(site, target, "downloads: File exists; .* name another folder")


def test_two_at_once(site, target):
    target.parent.mkdir()
    with FileLock(target.with_name(".file.npz.lock")):
        refused(site, target, "another process is fetching it")
    assert site.requests == []


@pytest.mark.parametrize("says", ["many", "-1", "1e3", "9" * 30])
def test_a_length_that_is_no_number_is_none(site, target, says):
    site.says = says
    fetch(site, target)
    assert target.read_bytes() == CONTENT


def test_no_byte_is_kept_beyond_those_that_were_published(site, target):
    site.content, site.length = CONTENT * 3, False
    refused(site, target, r"sends more than 1\.0 MB, which the published file has")
    assert target.with_name("file.npz.part").stat().st_size == 0
    site.length = True
    refused(site, target, "sends more than")


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://localhost/x", "data:,x"])
def test_a_server_refers_to_no_file(site, target, to):
    site.to = to
    refused(site, target, "refers to .* not fetched from|is not allowed")
    assert not target.exists()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://localhost/x", "data:,x", "/x"])
def test_other_schemes_are_refused(target, url):
    site = SimpleNamespace(url=url)
    refused(site, target, "only http and https are fetched from")
