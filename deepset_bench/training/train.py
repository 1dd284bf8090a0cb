"""One run from its configuration to result.json."""

from __future__ import annotations

import platform
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import torch
from filelock import FileLock, Timeout

from deepset_bench import __version__
from deepset_bench.config import Experiment
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.evaluation.metrics import evaluate
from deepset_bench.runs import LOCK, RunFolder, run_folder
from deepset_bench.training import checkpoint
from deepset_bench.training.loop import Diverged, Epoch, fit
from deepset_bench.training.records import recorders
from deepset_bench.training.setup import Setup, prepare

PACKAGES = ("torch", "torch-geometric", "numpy", "ase")


@dataclass(frozen=True)
class Outcome:
    """What `train` returns: the folder, its result and whether it had been done before."""

    folder: RunFolder
    result: dict[str, Any]
    already_done: bool


def train(
    experiment: Experiment,
    *,
    fresh: bool = False,
    on_start: Callable[[RunFolder, Setup], None] = lambda *_: None,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> Outcome:
    """Train one experiment, go on with it where it was interrupted, or return what is done.

    Args:
        experiment: what to train.
        fresh: forget an earlier run in the same folder.
        on_start: called once everything is ready.
        on_epoch: called after each epoch.

    Raises:
        UserError: the configuration or the data cannot be used, another run occupies the folder,
            or another process is training it.
    """
    config, folder = experiment.config, run_folder(experiment)
    identity = experiment.identity(catalogue.checksum(config.data.name))
    folder.path.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder.path / LOCK, timeout=0):
            if fresh:
                folder.clear()
            status = folder.status()
            if status and status["run"] != identity:
                raise UserError(
                    f"{folder.path} holds another run (other data, configuration or version); "
                    "--fresh replaces it, runs_dir=DIR keeps both"
                )
            if status.get("state") in ("done", "diverged"):
                return Outcome(folder, folder.result(), already_done=True)
            return _run(experiment, identity, folder, on_start, on_epoch)
    except Timeout:
        raise UserError(f"{folder.path} is being trained by another process") from None


def _run(
    experiment: Experiment,
    identity: str,
    folder: RunFolder,
    on_start: Callable[[RunFolder, Setup], None],
    on_epoch: Callable[[Epoch], None],
) -> Outcome:
    config = experiment.config
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    setup = prepare(config)

    folder.write_config(experiment)
    folder.write_status("running", identity)
    setup.split.save(folder.split)
    verdict = setup.verdict
    for line in (f"data {config.data.name}: {verdict.verdict}", *verdict.findings):
        folder.say(line)
    on_start(folder, setup)
    epochs_done = 0
    if folder.last.exists():
        epochs_done = int(checkpoint.load(folder.last, setup.device)["epochs"])
        folder.say(f"going on after epoch {epochs_done}")

    last: list[Epoch] = []
    started = time.perf_counter()
    try:
        with recorders(folder, experiment, epochs_done) as record:

            def after_epoch(row: Epoch) -> None:
                last[:] = [row]
                record(row)
                on_epoch(row)

            fit(setup, config, folder, identity, after_epoch)
        outcome = _measure(setup, config.trainer.batch_size, folder)
        state, reason = "done", ""
    except Diverged as error:
        outcome, state, reason = {"metrics": None}, "diverged", str(error)
        folder.say(f"diverged: {reason}")
    except UserError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        folder.say(traceback.format_exc())
        folder.write_status("failed", identity, reason)
        raise
    seconds = last[0].seconds if last else time.perf_counter() - started
    result = {
        "status": state,
        "reason": reason,
        **outcome,
        "baselines": {part: e.as_dict() for part, e in setup.baselines.items()},
        "label_floor_ev_per_angstrom": setup.label_floor,
        "data_verdict": asdict(verdict),
        "parameters": sum(p.numel() for p in setup.potential.parameters()),
        "epochs": last[0].epoch if last else epochs_done,
        "wall_seconds": round(seconds, 3),
        "device": setup.device.type,
        "threads": torch.get_num_threads(),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": {
            "deepset-bench": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
        "run": identity,
        "variant": experiment.variant,
    }
    folder.write_result(result)
    folder.write_status(state, identity, reason)
    folder.say(state)
    return Outcome(folder, result, already_done=False)


def _measure(setup: Setup, batch_size: int, folder: RunFolder) -> dict[str, Any]:
    """The best checkpoint's errors on validation and test frames."""
    best = checkpoint.load(folder.best, setup.device)
    setup.potential.load_state_dict(best["potential"])
    return {
        "metrics": {
            part: evaluate(setup.potential, setup.parts[part], batch_size).as_dict()
            for part in ("test", "val")
        },
        "best_epoch": best["epochs"],
    }
