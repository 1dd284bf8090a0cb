"""`python -m benchmarks gpu`: what a GPU makes of it, all in one script of at most eight minutes.

Training steps of every variant, seeds stacked in one model, forces for molecular dynamics of small
and large systems and of many replicas, and the memory that they take. Rows that there is no time
for are left out, and said to be. `--device cpu` tries the script itself.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from benchmarks.md import systems_of
from benchmarks.runs import brief_run
from benchmarks.scaling import cluster, jiggled
from benchmarks.step import CONTENDERS, VARIANTS, Contender, step_of
from benchmarks.tables import Table
from benchmarks.timing import machine, milliseconds, ratio
from deepset_bench.calculator import DeepSetCalculator
from deepset_bench.data import catalogue
from deepset_bench.denormals import start_threads
from deepset_bench.deployment.neighbourhoods import Systems
from deepset_bench.evaluation.deployed_runs import DeployedRuns
from deepset_bench.training.turns import interleaved

T = TypeVar("T")

SECONDS = 8 * 60
SEEDS = (5, 20, 50)
"""Seeds stacked in one model."""
NETWORKS = ("model=deepset_x", "model=schnet", "model=visnet")
MOLECULES = (1, 8, 64, 833)
REPLICAS = (1, 64, 1024)


def main(given: Sequence[str]) -> None:
    """Print the tables, and write them where told."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu", description=__doc__)
    parser.add_argument("--device", default="cuda", help="of torch (default: cuda)")
    parser.add_argument("--repeats", type=int, default=30, help="timed calls of each kind")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all of it")
    parser.add_argument("--variants", nargs="+", default=[*VARIANTS, *NETWORKS])
    parser.add_argument("--molecules", nargs="+", type=int, default=MOLECULES)
    parser.add_argument("--output", help="a file for the tables, in Markdown")
    asked = parser.parse_args(given)
    if asked.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("no CUDA device is here; --device cpu tries the script itself")
    start_threads()
    torch.use_deterministic_algorithms(True, warn_only=True)
    begun = time.monotonic()
    device = Device(asked.device, asked.repeats)
    text = f"{device.name}; {machine()}\n"
    print(text, flush=True)
    tables: list[Callable[[], Table]] = [
        lambda: device.steps(asked.variants),
        device.stacked,
        lambda: device.dynamics(asked.molecules),
        device.replicas,
    ]
    for number, table in enumerate(tables, start=1):
        device.until = begun + asked.seconds * number / len(tables)
        written = table().markdown()
        text += f"\n{written}"
        print(f"\n{written}", flush=True)
    if asked.output:
        Path(asked.output).write_text(text, encoding="utf-8")


def _answer(deployed: DeployedRuns, systems: Systems, _: int) -> object:
    return deployed(systems)


class Device:
    """Where everything is timed.

    Args:
        kind: of torch, as `cuda`.
        repeats: timed calls of each kind.

    Attributes:
        until: when no new row is begun, by the monotonic clock.
    """

    def __init__(self, kind: str, repeats: int) -> None:
        self.kind, self.repeats, self.until = kind, repeats, math.inf
        self.gpu = torch.device(kind).type == "cuda"
        self.name = torch.cuda.get_device_name(kind) if self.gpu else kind

    def steps(self, variants: Sequence[str]) -> Table:
        """A training step of each variant in each form."""
        rows = []
        for name in self._in_time(variants):
            overrides = VARIANTS.get(name, (name,))
            steps = {c.name: self._step(c, overrides) for c in CONTENDERS if c.seeds == 1}
            there = {name: step for name, step in steps.items() if step is not None}
            seconds = self._timed(there)
            first = next(iter(seconds.values()))
            rows.append(
                [
                    name,
                    *(milliseconds(seconds[n]) if n in seconds else "—" for n in steps),
                    *(f"{ratio(first, seconds[n]):.1f}" if n in seconds else "—" for n in steps),
                    self._memory(),
                ]
            )
        names = [c.name for c in CONTENDERS if c.seeds == 1]
        return Table(
            f"A training step on {self.name}.",
            f"20 frames of but-2-ene; milliseconds, then how many times faster than the first "
            f"form; medians of {self.repeats} steps.",
            ["variant", *names, *(f"{name} ×" for name in names), "GPU MiB"],
            rows,
        )

    def stacked(self) -> Table:
        """Seeds of the baseline in one model."""
        alone = self._step(CONTENDERS[2], ())
        assert alone is not None
        rows = []
        for seeds in self._in_time(SEEDS):
            many = self._step(replace(CONTENDERS[3], seeds=seeds), ())
            assert many is not None
            seconds = self._timed({"alone": alone, "many": many})
            gain = seeds * ratio(seconds["alone"], seconds["many"])
            rows.append([str(seeds), milliseconds(seconds["many"]), f"{gain:.1f}", self._memory()])
        return Table(
            f"Seeds stacked in one model on {self.name}.",
            "Milliseconds of a step of all of them; how many times the runs an hour of one alone.",
            ["seeds", "ms", "× one", "GPU MiB"],
            rows,
        )

    def dynamics(self, molecules: Sequence[int]) -> Table:
        """Forces through the ASE calculator."""
        calculators = {}
        for name, overrides in {"DeepSet": (), "DeepSet X": ("model=deepset_x",)}.items():
            with brief_run("trainer.epochs=1", *overrides) as run:
                calculators[name] = DeepSetCalculator(run, device=self.kind, compile=True)
        self.calculator = calculators["DeepSet"]
        molecule = catalogue.load("but-2-ene").select([0])
        rows = []
        for count in self._in_time(molecules):
            moving: dict[str, Callable[[int], object]] = {}
            for name, calculator in calculators.items():
                atoms = cluster(molecule, count)
                atoms.calc = calculator
                moving[name] = jiggled(atoms)
            seconds = self._timed(moving)
            for name, times in seconds.items():
                per_atom = 1e6 * float(np.median(times)) / (12 * count)
                cells = [f"{name}, {12 * count:,}", milliseconds(times), f"{per_atom:.1f}"]
                rows.append([*cells, self._memory()])
        return Table(
            f"Forces through the ASE calculator on {self.name}.",
            "But-2-ene at its liquid density, atoms moved by 0.002 Å between calls.",
            ["network, atoms", "ms", "µs per atom", "GPU MiB"],
            rows,
        )

    def replicas(self) -> Table:
        """Many copies of a molecule in one call."""
        deployed = self.calculator.deployed
        assert deployed is not None
        rows = []
        for count in self._in_time(REPLICAS):
            systems = systems_of(count)
            seconds = self._timed({"all": partial(_answer, deployed, systems)})["all"]
            per_second = count / float(np.median(seconds))
            rows.append([f"{count:,}", milliseconds(seconds), f"{per_second:,.0f}"])
        return Table(
            f"Replicas of but-2-ene on {self.name}.",
            "DeepSet, without ASE around it.",
            ["systems in one call", "ms", "systems a second"],
            rows,
        )

    def _step(
        self, contender: Contender, overrides: Sequence[str]
    ) -> Callable[[int], object] | None:
        return step_of(contender, [*overrides, f"device={self.kind}"])

    def _timed(self, functions: Mapping[str, Callable[[int], object]]) -> dict[str, np.ndarray]:
        """`interleaved`, each call until the device is done."""
        finish = partial(torch.cuda.synchronize, self.kind) if self.gpu else lambda: None
        return interleaved(functions, self.repeats, 10 if self.gpu else 3, finish=finish).seconds

    def _memory(self) -> str:
        """The most that was taken since the last question."""
        if not self.gpu:
            return "—"
        most = torch.cuda.max_memory_allocated(self.kind) / 2**20
        torch.cuda.reset_peak_memory_stats(self.kind)
        return f"{most:,.0f}"

    def _in_time(self, wanted: Sequence[T]) -> Iterator[T]:
        """Those that are begun in time; says which are not."""
        for number, one in enumerate(wanted):
            if time.monotonic() > self.until:
                print(f"left out for lack of time: {', '.join(map(str, wanted[number:]))}")
                return
            yield one
