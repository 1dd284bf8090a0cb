"""Where runs stand, read from their folders alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deepset_bench.reading import DAMAGED
from deepset_bench.record import ENDED, ENERGY_MAE, FORCES_MAE, RunRecord

_INTERRUPTED = "interrupted"
_EPOCH, _ENERGY, _FORCES, _SECONDS = (
    "epoch",
    f"val_{ENERGY_MAE}",
    f"val_{FORCES_MAE}",
    "seconds",
)


@dataclass(frozen=True)
class Standing:
    """Where a run stands.

    Attributes:
        state: one of `runs.STATES`; `interrupted`: started, and no process trains it, or submitted,
            and its task is gone; `damaged`: its records cannot be read.
        reason: why it failed or diverged, or what is damaged.
        epoch: finished so far, of `epochs` (None: not known yet).
        energy, forces: validation MAE of the last epoch, of a run that is done that of the best,
            whose parameters it keeps, in eV and eV/angstrom; None before.
        seconds: training time so far.
        node: on which it is trained, where that is known.
        job: number of the last task of a batch system that it is in, of one that has not ended.
    """

    state: str
    reason: str = ""
    epoch: int = 0
    epochs: int | None = None
    energy: float | None = None
    forces: float | None = None
    seconds: float = 0.0
    node: str = ""
    job: str = ""

    @property
    def seconds_left(self) -> float | None:
        """At the pace so far; None before the first epoch and where nothing is trained."""
        if self.state != "running" or not self.epoch or self.epochs is None:
            return None
        return self.seconds / self.epoch * (self.epochs - self.epoch)


def standing(folder: RunRecord, epochs: int | None = None) -> Standing:
    """Where a run stands.

    Args:
        folder: the run's.
        epochs: it is to train; None looks it up in the run's config.yaml.
    """
    status = folder.status()
    if status.get("state") == "running" and not folder.is_held():
        # Asked twice: the run may have ended, or be gone, between the two questions.
        status = folder.status()
        if status.get("state") == "running":
            status["state"] = _INTERRUPTED
    result = folder.result()
    state = status.get("state", DAMAGED)
    if state in (DAMAGED, *ENDED) and result.get("status") in ENDED:
        status = {"state": result["status"], "reason": result["reason"]}
    elif state in ENDED:
        missing = "its result.json is missing: training goes on and writes it"
        status = {"state": _INTERRUPTED, "reason": result.get("reason", missing)}
    done = status.get("state") == result.get("status") == "done"  # no other file need be read
    row = _result(result) if done else last_epoch(folder)
    if epochs is None:
        epochs = result["epochs"] if done else _epochs(folder)
    return Standing(
        state=status.get("state", "queued"),
        reason=status.get("reason", ""),
        epoch=int(row.get(_EPOCH, 0)),
        epochs=epochs,
        energy=row.get(_ENERGY),
        forces=row.get(_FORCES),
        seconds=row.get(_SECONDS, 0.0),
    )


def last_epoch(folder: RunRecord) -> dict[str, float]:
    """The last whole row of metrics.csv, by heading; empty where there is none."""
    text = folder.last_epochs()
    whole = text[: text.rfind("\n") + 1].splitlines()  # a row being written has no end yet
    if len(whole) < 2:
        return {}
    try:
        return dict(zip(whole[0].split(","), map(float, whole[-1].split(",")), strict=True))
    except ValueError:
        return {}  # cut short when the machine went down; the run drops it when it goes on


def _result(result: dict[str, Any]) -> dict[str, float]:
    """What a row of metrics.csv would say, of a run that is done."""
    val = result["metrics"]["val"]
    return {
        _EPOCH: result["epochs"],
        _ENERGY: val[ENERGY_MAE],
        _FORCES: val[FORCES_MAE],
        _SECONDS: result["wall_seconds"],
    }


def _epochs(folder: RunRecord) -> int | None:
    return folder.settings().get("trainer.epochs")
