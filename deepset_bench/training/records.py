"""Where each epoch is written: metrics.csv always, W&B and TensorBoard beside it when asked for."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import asdict, fields
from io import StringIO
from typing import TYPE_CHECKING, Any

from deepset_bench.config import Experiment
from deepset_bench.errors import UserError
from deepset_bench.files import atomic_write, naming
from deepset_bench.record import RunRecord
from deepset_bench.runs import RunFolder
from deepset_bench.training.loggers import Loggers
from deepset_bench.training.loop import Epoch

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [field.name for field in fields(Epoch)]


def read_metrics(run: RunRecord) -> pd.DataFrame:
    """metrics.csv, one row an epoch; empty where there is none, or it is damaged."""
    import pandas as pd  # here: training does without its 30 MB

    try:
        found = pd.read_csv(StringIO(run.epochs()), float_precision="round_trip")
        return found[COLUMNS].astype(float).astype({"epoch": int})
    except (KeyError, ValueError):  # another program wrote it
        return pd.DataFrame(columns=COLUMNS)


class Recorder:
    """Records one run everywhere the configuration asks for, and closes all of it at the end.

    Rows of epochs that no checkpoint holds are dropped first, so that a resumed run leaves the
    same table as one that was never stopped.

    Args:
        folder: of the run, its config.yaml written.
        epochs_done: from which the run goes on.
        say: takes a line for whoever reads what the run says.
    """

    def __init__(
        self,
        folder: RunFolder,
        experiment: Experiment,
        epochs_done: int,
        say: Callable[[str], None],
    ) -> None:
        rows = _rows(folder, epochs_done)
        with atomic_write(folder.metrics, "w") as stream:
            csv.writer(stream, lineterminator="\n").writerow(COLUMNS)
            stream.writelines(f"{row}\n" for row in rows)
        self._loggers = Loggers(folder, experiment, epochs_done, say)
        self._folder = folder
        self._stream = folder.metrics.open("a", encoding="utf-8", buffering=1)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._loggers.close()

    def epoch(self, row: Epoch) -> None:
        """Record an epoch."""
        with naming(self._folder.metrics):
            print(*asdict(row).values(), sep=",", file=self._stream)
        self._loggers.epoch(row)

    def result(self, result: dict[str, Any]) -> None:
        """Record the final numbers; metrics.csv holds epochs alone."""
        self._loggers.result(result)


def _rows(folder: RunFolder, epochs_done: int) -> list[str]:
    """The rows of the epochs that the checkpoint holds.

    Raises:
        UserError: one of them is missing; a table without it would be another run's.
    """
    rows = (folder.epochs() if epochs_done else "").splitlines()[1:]
    for epoch in range(1, epochs_done + 1):
        values = rows[epoch - 1].split(",") if epoch <= len(rows) else []
        if len(values) != len(COLUMNS) or values[0] != str(epoch):
            raise UserError(
                f"{folder.metrics}: damaged, epoch {epoch} of last.pt is not in its row; "
                "bench train ... --fresh trains the run again"
            )
    return rows[:epochs_done]
