"""A real Slurm on this machine, up in a second: a controller and two nodes, all on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch")
_PATH = f"{os.environ['PATH']}:/usr/sbin"
MISSING = [name for name in NEEDED if not shutil.which(name, path=_PATH)]
WHY_NOT = (
    f"{', '.join(MISSING)} not installed (apt-get install slurm-wlm munge)"
    if MISSING
    else "not root, as whom alone slurmd runs here"
)
CAN = not MISSING and os.geteuid() == 0

_CONF = """
ClusterName=bench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthInfo=socket={home}/munge.sock
SlurmUser=root
SlurmdUser=root
StateSaveLocation={home}/state
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/%n.pid
SlurmdSpoolDir={home}/%n
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
MpiDefault=none
ReturnToService=2
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1
MinJobAge=3600
MaxArraySize={most_tasks}
KillWait=5
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs=1 RealMemory=8000
PartitionName=short Nodes=n[1-2] Default=YES MaxTime=1-00:00:00 State=UP
"""


class Cluster:
    """Its daemons, which end with it, and its commands."""

    def __init__(self, home: Path, most_tasks: int) -> None:
        self.home, self.most_tasks = home, most_tasks
        self.conf = home / "slurm.conf"

    def start(self) -> None:
        """Bring it up, and wait until both nodes are idle."""
        for name in ("state", "n1", "n2"):
            (self.home / name).mkdir(parents=True)
        self.home.chmod(0o755)
        key = self.home / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        port = _free_ports()
        host = socket.gethostname().partition(".")[0]
        text = _CONF.format(
            **{"home": self.home, "host": host, "port": port, "most_tasks": self.most_tasks},
            **{"first": port + 1, "last": port + 2},
        )
        self.conf.write_text(text)
        places = {"socket": "sock", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{name}={self.home}/munge.{end}" for name, end in places.items()]
        self._run("munged", "--force", f"--key-file={key}", *options)
        self.start_controller()
        for node in ("n1", "n2"):
            self._run("slurmd", "-N", node)
        until(lambda: self.run("sinfo", "-h", "-o", "%T").split() == ["idle"])

    def start_controller(self) -> None:
        """Start slurmctld."""
        self._run("slurmctld")

    def end(self, name: str) -> None:
        """End a daemon by its number, and wait."""
        path = self.home / f"{name}.pid"
        with suppress(OSError, ValueError):
            number = int(path.read_text())
            os.kill(number, signal.SIGTERM)
            until(lambda: not Path(f"/proc/{number}").exists(), 20)

    def stop(self) -> None:
        """End all jobs and daemons."""
        with suppress(subprocess.SubprocessError):
            self.run("scancel", "--me", "--signal=KILL", "--full")
            self.run("scancel", "--me")
            until(lambda: not self.run("squeue", "-h"), 15)
        for name in ("n1", "n2", "slurmctld", "munge"):
            self.end(name)

    def run(self, *command: str) -> str:
        """The output of one of its commands."""
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=True)
        return done.stdout

    def signal(self, job: str, name: str) -> None:
        """Send a signal to a task's script; scancel goes on trying where it is gone at once."""
        with suppress(subprocess.SubprocessError):
            command = ("scancel", "--batch", f"--signal={name}", job)
            subprocess.run(command, env=self.env, capture_output=True, timeout=3, check=True)

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self.conf)}

    def _run(self, daemon: str, *options: str) -> None:
        path = shutil.which(daemon, path=_PATH)
        command = [str(path), *options]
        subprocess.run(command, env=self.env, check=True, timeout=30, stdout=subprocess.DEVNULL)


@contextmanager
def cluster(home: Path, most_tasks: int = 4) -> Iterator[Cluster]:
    """One that is up meanwhile, whose arrays have so many tasks at most."""
    made = Cluster(home, most_tasks)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for it."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise subprocess.TimeoutExpired(str(holds), seconds)
        time.sleep(0.1)


def _free_ports() -> int:
    """The first of three in a row that nobody uses."""
    for first in range(21_000, 29_000, 3):
        with suppress(OSError):
            for port in range(first, first + 3):
                with socket.socket() as one:
                    one.bind(("127.0.0.1", port))
            return first
    raise OSError("no free ports")
