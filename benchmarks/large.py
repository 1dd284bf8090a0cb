"""A set larger than memory is to be: a million frames of 12 atoms, trained on and imported."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from ase.units import Hartree

from benchmarks.epoch import peak_memory_mib
from benchmarks.tables import Table
from benchmarks.timing import in_fresh_process, of_threads, ratio
from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.data.gathering import Request
from deepset_bench.data.importing import import_set
from deepset_bench.data.listing import set_summary, sets_table
from deepset_bench.molecules import mapped
from deepset_bench.molecules.frames import Frames
from deepset_bench.training.compiled import wants_compiling
from deepset_bench.training.computing import begin
from deepset_bench.training.setup import prepare
from deepset_bench.training.step import SingleOptimisation
from deepset_bench.training.turns import interleaved

FRAMES, AT_ONCE = 1_000_000, 50_000
HELD_OUT, FEW = 1_000, 1_000
"""Frames for validation and for testing; to train on, of the small part that is compared with."""
MEMORY, SPEED = 2_048, 1.0
"""The bars: MiB, and times a step on few frames."""
NAME = "large"


def springs(count: int) -> Iterator[Frames]:
    """But-2-ene's shipped geometries with noise, labelled by springs between all atoms."""
    shipped = catalogue.load("but-2-ene")
    n = int(shipped.n_atoms[0])
    numbers, positions = shipped.numbers[:n], shipped.positions.reshape(-1, n, 3)
    i, j = np.triu_indices(n, 1)
    rest = np.linalg.norm(positions[0][i] - positions[0][j], axis=-1)
    to_atoms = np.zeros((n, len(i)))
    to_atoms[i, np.arange(len(i))], to_atoms[j, np.arange(len(i))] = 1.0, -1.0
    rng = np.random.default_rng(0)
    for first in range(0, count, AT_ONCE):
        m = min(AT_ONCE, count - first)
        moved = positions[rng.integers(len(positions), size=m)]
        moved = moved + rng.normal(0, 0.02, moved.shape)
        vectors = moved[:, i] - moved[:, j]
        d = np.linalg.norm(vectors, axis=-1)
        forces = to_atoms @ (((rest - d) / d)[..., None] * vectors)
        yield Frames(
            numbers=np.tile(numbers, m),
            positions=moved.reshape(-1, 3),
            n_atoms=np.full(m, n),
            energy=((d - rest) ** 2).sum(axis=1) / 2,
            forces=forces.reshape(-1, 3),
            bias_forces=None,
            molecule=np.full(m, "C4H8"),
            index=first + np.arange(m),
        )


def write_ani1x(path: Path) -> None:
    """The same in the layout of ANI-1x, half of the frames in each of two groups."""
    import h5py

    half = FRAMES // 2
    with h5py.File(path, "w") as file:
        for frames in springs(FRAMES):
            m, n = len(frames), int(frames.n_atoms[0])
            group = file.require_group(f"C4H8-{int(frames.index[0]) // half}")
            arrays = {
                "coordinates": frames.positions.reshape(m, n, 3),
                "wb97x_dz.forces": frames.forces.reshape(m, n, 3) / Hartree,
                "wb97x_dz.energy": frames.energy / Hartree,
            }
            if "atomic_numbers" not in group:
                group["atomic_numbers"] = frames.numbers[:n]
                for key, values in arrays.items():
                    shape = 0, *values.shape[1:]
                    group.create_dataset(key, shape, maxshape=(None, *shape[1:]), dtype="f8")
            for key, values in arrays.items():
                group[key].resize(len(group[key]) + m, axis=0)
                group[key][-m:] = values


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """MiB of anonymous memory at the most (Linux), and of resident memory since Python began."""
    found, done = {"anonymous": 0.0}, threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            lines = Path("/proc/self/status").read_text().splitlines()
            anonymous = next(line for line in lines if line.startswith("RssAnon"))
            found["anonymous"] = max(found["anonymous"], int(anonymous.split()[1]) / 1024)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()
        found["resident"] = peak_memory_mib()


def step_of(train_size: int) -> Callable[[int], object]:
    """A compiled training step on so many frames of the set."""
    sizes = {"train": train_size, "val": HELD_OUT, "test": HELD_OUT}
    given = [f"data.{part}_size={size}" for part, size in sizes.items()]
    config = experiment([f"data={NAME}", "device=cpu", "compile=true", *given]).config
    setup = prepare(config)
    step = SingleOptimisation(setup, config, compile_steps=wants_compiling(config), say=_say)
    rng = np.random.default_rng(0)

    def drawn() -> Iterator[torch.Tensor]:
        while True:
            yield torch.from_numpy(rng.integers(train_size, size=config.trainer.batch_size))

    batches = setup.parts["train"].ahead(drawn())
    return lambda _: step.train([next(batches)], [config.trainer.learning_rate])


def with_processor(step: Callable[[int], object], spent: list[float]) -> Callable[[int], None]:
    """A step that also notes the processor time, in seconds, that all threads spent in it."""

    def noting(number: int) -> None:
        started = time.process_time()
        step(number)
        spent.append(time.process_time() - started)

    return noting


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def training(threads: int, repeats: int) -> dict[str, float]:
    """Memory of a run's preparation and steps, and seconds before the first step."""
    begin(threads)
    with watched() as found:
        started = time.perf_counter()
        step = step_of(FRAMES - 2 * HELD_OUT)
        seconds = time.perf_counter() - started
        for number in range(repeats):
            step(number)
    return {**found, "seconds": seconds}


def importing(path: Path) -> dict[str, float]:
    """Memory and seconds of an import in the layout of ANI-1x."""
    with watched() as found:
        started = time.perf_counter()
        import_set("imported", Request((path,)))
        seconds = time.perf_counter() - started
    return {**found, "seconds": seconds}


def looking(function: Callable[..., Any], *given: str) -> float:
    """Seconds of a table of sets."""
    started = time.perf_counter()
    function(*given)
    return time.perf_counter() - started


def measure(threads: int, repeats: int) -> list[Table]:
    """Memory, and a step beside one on few frames."""
    begin(threads)
    with tempfile.TemporaryDirectory() as home, patch.dict(os.environ, BENCH_DATA=home):
        catalogue.register(NAME, mapped.passing(springs(FRAMES)), {"method": "springs"})
        # In processes of their own, for the peak of each.
        trained = in_fresh_process(training, threads, repeats)
        path = Path(home) / "ani1x.h5"
        write_ani1x(path)
        imported = in_fresh_process(importing, path)
        listed, shown = looking(sets_table), looking(set_summary, NAME)
        steps = {"few": step_of(FEW), "large": step_of(FRAMES - 2 * HELD_OUT)}
        processor: dict[str, list[float]] = {name: [] for name in steps}
        timed = {name: with_processor(step, processor[name]) for name, step in steps.items()}
        taken = interleaved(timed, max(repeats, 100)).seconds
    times = ratio(taken["large"], taken["few"])
    work = ratio(*(np.array(processor[name][-len(taken[name]) :]) for name in ("large", "few")))
    mib, bar = "{:,.0f}".format, f"{MEMORY:,}"
    rows = [
        ["trained on: anonymous memory / MiB", mib(trained["anonymous"]), bar],
        ["trained on: resident, mapped files in it / MiB", mib(trained["resident"]), bar],
        [f"a step / a step on {FEW:,} frames", f"{times:.2f}", f"{SPEED:.2f}"],
        ["the same in processor time, both threads together", f"{work:.2f}", "—"],
        ["before the first step / s", f"{trained['seconds']:.1f}", "—"],
        ["imported from ANI-1x's layout: anonymous / MiB", mib(imported["anonymous"]), bar],
        ["imported: resident memory / MiB", mib(imported["resident"]), bar],
        ["imported: seconds", f"{imported['seconds']:.0f}", "—"],
        ["`bench data list` / s", f"{listed:.1f}", "—"],
        ["`bench data show` / s", f"{shown:.1f}", "—"],
    ]
    return [
        Table(
            f"{FRAMES:,} frames of 12 atoms, {of_threads(threads)}.",
            "Of but-2-ene with noise, labelled by springs; the step is compiled, with 10 frames, "
            f"and batches are made on another thread; medians of {max(repeats, 100)}.",
            ["", "measured", "bar"],
            rows,
        )
    ]
