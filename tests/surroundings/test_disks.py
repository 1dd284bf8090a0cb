"""Disks, memory and places for files that fail: one line, and what was whole stays so."""

from __future__ import annotations

import errno
import os
import re
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import torch

from deepset_bench.config import experiment
from deepset_bench.config_file import load_config
from deepset_bench.files import write_text
from deepset_bench.holding import heartbeat
from deepset_bench.runs import RunFolder, RunsFolder, run_folder
from deepset_bench.surroundings import begin_thread, failure, said_within
from deepset_bench.training.records import Recorder
from tests.test_cli import inside
from tests.training.tiny import OVERRIDES, assert_same_run, last, run


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "a/b: No space .*; make room"),
        (OSError(errno.ENOSPC, "No space left on device"), "output: No space"),
        (OSError(errno.EMFILE, "Too many open files", "x"), r"x: Too many .*ulimit -n"),
        (OSError(errno.ENOENT, os.strerror(errno.ENOENT), "a/b"), "a/b: No such .*; a folder on"),
        (OSError(errno.ENOENT, "No usable temporary directory found"), "^No usable temp[^;]*$"),
        (MemoryError(), "^not enough memory; ask for fewer frames"),
        (MemoryError("Unable to allocate 5.60 GiB for an array"), "memory: 5.60 GiB were asked"),
        (
            RuntimeError(
                "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
            ),
            "^not enough memory: 9 bytes were asked for; ",
        ),
        (
            RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has"),
            "^not enough memory: 20.00 GiB were asked for; ",
        ),
        (RuntimeError("can't start new thread"), "ulimit -u"),
        (
            ImportError("a.so: failed to map segment from shared object", path="a.so"),
            "^not enough memory; ask for",
        ),
        (ImportError("Too many open files"), "^Too many open files; .*ulimit -n"),
        (
            ImportError("a.so: cannot open shared object file: Too many open files", path="a.so"),
            "^a.so: Too many open files; .*ulimit -n",
        ),
        (
            RuntimeError("CUDA error: CUDA-capable device(s) is/are busy or unavailable\nCUDA ker"),
            "^CUDA error: .*unavailable; wait for the program that holds the GPU, or name another",
        ),
    ],
)
def test_failures_of_the_machine(error, expected):
    line = failure(error)
    assert re.search(expected, line)
    assert "\n" not in line


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and limits of Linux")


@LINUX
@pytest.mark.parametrize("opens", [torch._C.PyTorchFileReader, torch._C.PyTorchFileWriter])
def test_what_pytorch_says_of_too_many_open_files(tmp_path, opens):
    """Its C++ raises a RuntimeError of its own words."""
    _, hard = limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    here = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    (tmp_path / "x.pt").write_bytes(b"")
    resource.setrlimit(resource.RLIMIT_NOFILE, (here + 1, hard))
    try:
        with ExitStack() as stack:
            with suppress(OSError):
                while True:
                    stack.enter_context(Path(os.devnull).open())
            with pytest.raises(RuntimeError) as caught:
                opens(str(tmp_path / "x.pt"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert re.search(r"Too many open files; allow .*\(ulimit -n\)$", str(failure(caught.value)))


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError(), OSError("odd")])
def test_other_errors_are_none_of_the_machine(error):
    assert failure(error) is None


@LINUX
def test_a_thread_begins_where_there_is_memory_for_it_alone():
    """Python never comes back from starting one that finds none before its first line."""
    begun = threading.active_count()
    _, hard = limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**24, hard))
    try:
        with pytest.raises(MemoryError):
            begin_thread(time.sleep, 60)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert threading.active_count() == begun
    asked = threading.Event()
    begin_thread(asked.set)
    assert asked.wait(60)


def test_what_a_compiler_says_of_the_disk_is_the_machines_failure(tmp_path):
    error = RuntimeError("C++ compile error\na.cpp:1: fatal error: No space left on device")
    found = said_within(error, str(tmp_path))
    assert f"{tmp_path}: No space left on device; make room" in str(failure(found))
    assert said_within(RuntimeError("error: expected ';'"), str(tmp_path)) is None


def test_a_configuration_that_the_system_refuses_is_not_the_users_mistake(tmp_path, monkeypatch):
    path = tmp_path / "config.yaml"
    path.write_text("seed: 0")

    def refuse(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr("deepset_bench.bounds.text", refuse)
    with pytest.raises(PermissionError):
        load_config(path)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_what_any_file_would_meet_is_no_damage_of_one(tmp_path, monkeypatch, capsys, code):
    """A run that cannot be read for it is not damaged, another's, without epochs, or free."""
    folder = RunFolder(tmp_path / "runs" / "seed-0")
    folder.path.mkdir(parents=True)
    for name in ("status.json", "result.json", "config.yaml", "metrics.csv", ".held"):
        (folder.path / name).write_text("{}")
    (tmp_path / "runs/seeds-0/evaluation/test").mkdir(parents=True)
    (tmp_path / "runs/seeds-0/evaluation/test/evaluation.json").write_text("{}")

    def refuse(path, *_, **__):
        raise OSError(code, os.strerror(code), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        status, _, err = inside(monkeypatch, capsys, "status", "--runs-dir", str(tmp_path / "runs"))
    assert (status, err.count("\n")) == (1, 1)
    assert os.strerror(code) in err
    root = RunsFolder(tmp_path / "runs")
    reads = [folder.status, folder.result, folder.settings, folder.epochs, folder.last_epochs]
    reads += [lambda: folder.text("config.yaml"), lambda: heartbeat(folder.path)]
    reads += [lambda: root.together(root.root)]
    for read in reads:
        read()
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refuse)
            with pytest.raises(OSError, match=os.strerror(code)):
                read()
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(OSError, match=os.strerror(code)):
        root.every()


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 200 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount, and not in every container")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(place: Path) -> None:
    """Leave no room."""
    with suppress(OSError), (place / "full").open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(1024))


@pytest.mark.usefixtures("tiny")
def test_a_disk_that_fills_up_costs_nothing_but_time(small_disk, tmp_path, monkeypatch, capsys):
    arguments = ("train", *OVERRIDES, f"runs_dir={small_disk}")
    folder = run_folder(experiment(arguments[1:]))
    record = Recorder.epoch

    def until_the_second(self, row):
        record(self, row)
        if row.epoch == 2:
            fill(small_disk)

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "epoch", until_the_second)
        status, _, err = inside(monkeypatch, capsys, *arguments)
    assert (status, err.count("\n")) == (1, 1)
    assert re.match(rf"error: {small_disk}/.*: No space left on device; make room", err)
    assert last(folder)["epochs"] == 1
    for command in (("status", "--runs-dir", str(small_disk)), ("evaluate", str(folder.path))):
        status, _, err = inside(monkeypatch, capsys, *command)
        assert (status, err.count("\n")) == ((0, 0) if command[0] == "status" else (1, 1))

    (small_disk / "full").unlink()
    status, _, err = inside(monkeypatch, capsys, *arguments)
    assert (status, err) == (0, "")
    assert_same_run(folder, run().folder)


@pytest.mark.usefixtures("tiny")
def test_a_set_that_does_not_fit_is_not_there(small_disk, monkeypatch, capsys):
    monkeypatch.setenv("BENCH_DATA", str(small_disk))
    arguments = ("data", "import", "big", "but-2-ene")
    status, _, err = inside(monkeypatch, capsys, *arguments)
    assert (status, err.count("\n")) == (1, 1)
    assert "No space left on device" in err
    assert [path.name for path in small_disk.rglob("*") if path.is_file()] == [".lock"]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("x" * 300, "File name too long; choose a shorter name"),
        ("file/found.json", "a file stands where a folder must be"),
        ("folder", "Is a directory; name a file"),
        ("/dev/full", "/dev/full: No space left on device"),
    ],
)
@pytest.mark.usefixtures("tiny")
def test_places_for_output_that_are_none(tmp_path, monkeypatch, capsys, place, expected):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    arguments = ("data", "check", "tiny", "--sample", "0", "--json", str(tmp_path / place))
    status, _, err = inside(monkeypatch, capsys, *arguments)
    assert (status, err.count("\n")) == (1, 1)
    assert expected in err
    assert (tmp_path / "file").read_text() == "mine"


def test_a_device_is_written_to_and_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_text(tmp_path / "pipe", "all of it")
    assert os.read(reader, 100) == b"all of it"
    assert (tmp_path / "pipe").is_fifo()
    os.close(reader)
