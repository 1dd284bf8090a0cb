"""Loggers beside metrics.csv, of which none can end a run: one that fails is left out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Protocol

from deepset_bench.config import Experiment
from deepset_bench.errors import UserError, one_line
from deepset_bench.runs import RunFolder
from deepset_bench.schema import flat
from deepset_bench.surroundings import require
from deepset_bench.training.loop import Epoch
from deepset_bench.training.ml_flow import MLflow
from deepset_bench.training.weights_and_biases import WeightsAndBiases, wandb_mode

Say = Callable[[str], None]


class Logger(Protocol):
    """What records the epochs of one run and how it ended."""

    name: str

    def epoch(self, row: Epoch) -> None:
        """Record an epoch."""

    def result(self, final: dict[str, Any]) -> None:
        """Record `final_numbers` of a run that has ended."""

    def close(self) -> None:
        """Write what is not written yet."""


class Loggers:
    """Those that a configuration asks for; one that fails says so in a line and is left out.

    Args:
        folder: of the run, its config.yaml written.
        epochs_done: from which the run goes on.
        say: takes a line for whoever reads what the run says.

    Raises:
        UserError: a logger is not installed, or WANDB_MODE is no mode.
    """

    def __init__(
        self, folder: RunFolder, experiment: Experiment, epochs_done: int, say: Say
    ) -> None:
        self._say = say
        self._open: list[Logger] = []
        wanted = experiment.config.logger
        if wanted.tensorboard:
            self._start(TensorBoard, folder, experiment, epochs_done)
        if wanted.mlflow:
            self._start(MLflow, folder, experiment)
        if wanted.wandb is not None and (mode := wandb_mode(wanted.wandb)) != "disabled":
            self._start(WeightsAndBiases, folder, experiment, mode, say)

    def epoch(self, row: Epoch) -> None:
        """Record an epoch."""
        self._each(lambda logger: logger.epoch(row))

    def result(self, result: dict[str, Any]) -> None:
        """Record the final numbers."""
        final = final_numbers(result)
        self._each(lambda logger: logger.result(final))

    def close(self) -> None:
        """Write what is not written yet; to be called however the run ends."""
        self._each(lambda logger: logger.close())
        self._open.clear()

    def _start(self, kind: type[TensorBoard | MLflow | WeightsAndBiases], *arguments: Any) -> None:
        try:
            self._open.append(kind(*arguments))
        except UserError:
            raise
        except Exception as error:
            self._without(kind.name, error)

    def _each(self, act: Callable[[Logger], None]) -> None:
        for logger in list(self._open):
            try:
                act(logger)
            except Exception as error:
                self._open.remove(logger)
                self._without(logger.name, error)
                with suppress(Exception):
                    logger.close()

    def _without(self, name: str, error: Exception) -> None:
        self._say(f"{name}: {one_line(error)}; the run is unharmed, metrics.csv has every epoch")


class TensorBoard:
    """Scalars of each epoch, the configuration as text, and at the end as hyperparameters."""

    name = "TensorBoard"

    def __init__(self, folder: RunFolder, experiment: Experiment, epochs_done: int) -> None:
        module = require("torch.utils.tensorboard", "tensorboard")
        self._configuration = flat(asdict(experiment.config))
        self._epochs = epochs_done
        self._writer = module.SummaryWriter(str(folder.path), purge_step=epochs_done + 1)
        text = folder.config.read_text(encoding="utf-8")
        self._writer.add_text("configuration", f"```yaml\n{text}```")

    def epoch(self, row: Epoch) -> None:
        """A scalar for each column of metrics.csv."""
        self._epochs = row.epoch
        for name, value in asdict(row).items():
            if name != "epoch":
                self._writer.add_scalar(name, value, row.epoch)

    def result(self, final: dict[str, Any]) -> None:
        """The final numbers as scalars, and beside the configuration in the tab HPARAMS."""
        from torch.utils.tensorboard.summary import hparams

        numbers = {k: v for k, v in final.items() if not isinstance(v, str)}
        settings = {
            key: value if isinstance(value, bool | int | float | str) else str(value)
            for key, value in {**self._configuration, **final}.items()
            if key not in numbers
        }
        for summary in hparams(settings, numbers):
            self._writer.file_writer.add_summary(summary)
        for key, value in numbers.items():
            self._writer.add_scalar(key, value, self._epochs)

    def close(self) -> None:
        """Wait until all is on disk."""
        self._writer.close()


def final_numbers(result: dict[str, Any]) -> dict[str, Any]:
    """What a result says, by names such as test/energy_mae_ev and trivial/test/energy_mae_ev."""
    names = ("status", "best_epoch", "parameters", "epochs", "wall_seconds")
    final: dict[str, Any] = {name: result[name] for name in names if name in result}
    final["data_verdict"] = result["data_verdict"]["verdict"]
    for prefix, parts in (("", result["metrics"] or {}), ("trivial/", result["baselines"])):
        for part, errors in parts.items():
            for name, value in errors.items():
                if isinstance(value, int | float):
                    final[f"{prefix}{part}/{name}"] = value
    return final
