"""Who holds a run: by the lock of one machine, by the heartbeat of another, and until when."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from deepset_bench import holding
from deepset_bench.holding import HELD, Hold, is_held, try_locks
from deepset_bench.runs import Busy, RunFolder


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    for name in ("SLURM_JOB_ID", "SLURMD_NODENAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(holding, "_PATIENCE", 0.0)
    monkeypatch.setattr(holding, "_NONE", "BENCH_NO_LOCKS_TEST")
    monkeypatch.setenv("BENCH_NO_LOCKS_TEST", "")
    return tmp_path


def beats(folder: Path, age: float = 0.0, **changed) -> None:
    """A heartbeat of another node."""
    them = {"host": "n7.cluster", "node": "n7", "pid": 1, "job": "12"} | changed
    (folder / HELD).write_text(json.dumps(them))
    os.utime(folder / HELD, (time.time() - age,) * 2)


def test_a_folder_is_held_once_and_then_free(folder):
    with Hold(folder):
        assert is_held(folder)
        with pytest.raises(BlockingIOError):
            Hold(folder)
        assert json.loads((folder / HELD).read_text())["host"] == socket.gethostname()
    assert not is_held(folder)
    assert not (folder / HELD).exists()


def test_another_node_holds_a_folder_until_its_heart_stops(folder):
    beats(folder)
    assert is_held(folder)
    with pytest.raises(Busy):
        RunFolder(folder).lock()
    assert holding.elsewhere(folder) == "n7"
    beats(folder, age=holding.DEAD + 1)
    assert not is_held(folder)
    with RunFolder(folder).lock():
        assert is_held(folder)


def test_the_clock_of_the_file_system_tells(folder, monkeypatch):
    """A machine whose clock is wrong takes no run from a living one, nor waits for a dead one."""
    beats(folder)
    wrong = SimpleNamespace(time=lambda: 0.0, monotonic=time.monotonic, sleep=time.sleep)
    monkeypatch.setattr(holding, "time", wrong)
    with pytest.raises(Busy):
        RunFolder(folder).lock()
    beats(folder, age=-1e6)  # the clock was put back
    with RunFolder(folder).lock():
        pass


def test_a_requeued_job_takes_over_what_it_held(folder, monkeypatch):
    beats(folder)
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    assert not is_held(folder)
    with Hold(folder):
        pass
    beats(folder, job="13")
    assert is_held(folder)


def test_what_a_killed_process_of_this_machine_held_is_free_at_once(folder):
    code = "import sys, os; from pathlib import Path; from deepset_bench.holding import Hold; "
    code += "Hold(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, str(folder)], check=False)
    assert (folder / HELD).exists()
    assert not is_held(folder)
    with Hold(folder):
        pass


def test_the_heart_beats(folder, monkeypatch):
    monkeypatch.setattr(holding, "BEAT", 0.01)
    monkeypatch.setattr(holding, "_BEATS", holding._Beats())
    with Hold(folder):
        os.utime(folder / HELD, (0, 0))
        end = time.monotonic() + 10
        while (folder / HELD).stat().st_mtime == 0 and time.monotonic() < end:
            time.sleep(0.01)
        assert holding.heartbeat(folder)


def test_locks_are_tried(folder):
    assert try_locks(folder / "runs") == ""
    assert list((folder / "runs").iterdir()) == []


def test_without_locks_heartbeats_tell(folder, monkeypatch):
    """Of a live process of this machine, too, and only while it lives."""

    def none(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", none)
    said = try_locks(folder)
    assert "has no locks (flock), so a file .held" in said
    assert os.environ["BENCH_NO_LOCKS_TEST"] == "1"
    with Hold(folder):
        pass
    beats(folder, host=socket.gethostname(), pid=os.getppid())
    assert is_held(folder)
    with pytest.raises(BlockingIOError):
        Hold(folder)
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as ended:
        ended.wait()
    beats(folder, host=socket.gethostname(), pid=ended.pid)
    assert not is_held(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"host": 1}'])
def test_a_damaged_heartbeat_is_none(folder, text):
    (folder / HELD).write_text(text)
    assert not is_held(folder)
