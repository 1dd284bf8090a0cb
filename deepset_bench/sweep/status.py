"""Where runs stand, read from their folders alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from deepset_bench.errors import UserError
from deepset_bench.runs import RunFolder

ENDED = ("done", "failed", "diverged")
_EPOCH, _ENERGY, _FORCES, _SECONDS = (
    "epoch",
    "val_energy_mae_ev",
    "val_forces_mae_ev_per_angstrom",
    "seconds",
)


@dataclass(frozen=True)
class Standing:
    """Where a run stands.

    Attributes:
        state: one of `runs.STATES`, or `interrupted`: started, and no process trains it.
        reason: why it failed or diverged.
        epoch: finished so far, of `epochs` (None: not known yet).
        energy, forces: validation MAE of the last epoch, of a run kept without its metrics.csv that
            of the best, in eV and eV/angstrom; None before.
        seconds: training time so far.
    """

    state: str
    reason: str = ""
    epoch: int = 0
    epochs: int | None = None
    energy: float | None = None
    forces: float | None = None
    seconds: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """At the pace so far; None before the first epoch and where nothing is trained."""
        if self.state != "running" or not self.epoch or self.epochs is None:
            return None
        return self.seconds / self.epoch * (self.epochs - self.epoch)


def standing(folder: RunFolder, epochs: int | None = None) -> Standing:
    """Where a run stands.

    Args:
        folder: the run's.
        epochs: it is to train; None looks it up in the run's config.yaml.

    Raises:
        UserError: a damaged status or configuration.
    """
    status = folder.status()
    state = str(status.get("state", "queued"))
    if state == "running" and not folder.is_held():
        # Asked twice: the run may have ended between the two questions.
        state = str(folder.status().get("state"))
        state = "interrupted" if state == "running" else state
    row = last_epoch(folder) or _result(folder)
    return Standing(
        state=state,
        reason=str(status.get("reason", "")),
        epoch=int(row.get(_EPOCH, 0)),
        epochs=_epochs(folder) if epochs is None else epochs,
        energy=row.get(_ENERGY),
        forces=row.get(_FORCES),
        seconds=row.get(_SECONDS, 0.0),
    )


def last_epoch(folder: RunFolder) -> dict[str, float]:
    """The last whole row of metrics.csv, by heading; empty where there is none."""
    try:
        text = folder.metrics.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    whole = text[: text.rfind("\n") + 1].splitlines()  # a row being written has no end yet
    if len(whole) < 2:
        return {}
    try:
        return dict(zip(whole[0].split(","), map(float, whole[-1].split(",")), strict=True))
    except ValueError:
        return {}  # cut short when the machine went down; the run drops it when it goes on


def _result(folder: RunFolder) -> dict[str, float]:
    """What a row of metrics.csv says, of a run kept without it; empty unless it is done."""
    result = folder.result()
    if result.get("status") != "done":
        return {}
    val = result["metrics"]["val"]
    return {
        _EPOCH: result["epochs"],
        _ENERGY: val["energy_mae_ev"],
        _FORCES: val["forces_mae_ev_per_angstrom"],
        _SECONDS: result["wall_seconds"],
    }


def find(root: Path) -> list[RunFolder]:
    """Every run folder below `root`, by path."""
    return [RunFolder(path.parent) for path in sorted(root.rglob("status.json"))]


def _epochs(folder: RunFolder) -> int | None:
    try:
        config = yaml.safe_load(folder.config.read_text(encoding="utf-8"))
        return int(config["trainer"]["epochs"])
    except FileNotFoundError:
        return None
    except (yaml.YAMLError, KeyError, TypeError, ValueError):
        raise UserError(f"{folder.config}: not a run's configuration") from None
