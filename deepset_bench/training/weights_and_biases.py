"""Weights & Biases: what a run logs there, and to whom.

W&B's own environment variables hold where the configuration leaves a choice; see docs/logging.md.
"""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deepset_bench.config import Experiment
from deepset_bench.errors import UserError, one_line
from deepset_bench.files import write_text
from deepset_bench.runs import RunFolder
from deepset_bench.training.loop import Epoch

PROJECT = "deepset-bench"
_MODES = ("disabled", "offline", "online")  # from the least that is said to others to the most
_ALIASES = {"dryrun": "offline", "run": "online"}  # of earlier versions of W&B
_LONGEST_TAG, _LONGEST_NAME = 64, 128  # characters, of a group's name, too; W&B refuses more
_CONNECTING, _FINISHING = 30, 60
"""Seconds to wait for W&B's server; what is not sent by then is kept in the run's folder."""


class WeightsAndBiases:
    """A run of W&B; one that was interrupted is continued.

    Without a login or a network it is recorded in the run's folder, to be sent later.
    """

    name = "W&B"

    def __init__(
        self, folder: RunFolder, experiment: Experiment, mode: str, say: Callable[[str], None]
    ) -> None:
        import wandb

        self._say = say
        self._exit_code = 1  # until the run has ended
        wandb.setup(wandb.Settings(silent=True))
        why = login() if mode == "online" else ""
        if mode == "online" and not why:
            try:
                self._run = _wandb_run(folder, experiment, "online")
                say(f"W&B: {self._run.url}")
                return
            except Exception as error:
                _run_id(folder).unlink()  # W&B's process does not let go of it
                why = one_line(error)
        self._run = _wandb_run(folder, experiment, "offline")
        why += "; " if why else ""
        say(f"W&B: {why}recorded offline; to send it: {_sync(self._run)}")

    def epoch(self, row: Epoch) -> None:
        """Every column of metrics.csv, at the epoch's number."""
        self._run.log(asdict(row), step=row.epoch)

    def result(self, final: dict[str, Any]) -> None:
        """The final numbers as the run's summary."""
        self._run.summary.update(final)
        self._exit_code = 0 if final["status"] == "done" else 1

    def close(self) -> None:
        """End the run of W&B, as failed if it has no result."""
        import wandb

        try:
            self._run.finish(exit_code=self._exit_code)
        except TimeoutError:
            self._say(f"W&B: not everything was sent; to send the rest: {_sync(self._run)}")
        except ConnectionError:  # its process is dead, which it would notice again at exit
            with suppress(Exception):
                wandb.teardown()
            raise


def wandb_mode(wanted: str) -> str:
    """`disabled`, `offline` or `online`: the more reserved of a configuration and WANDB_MODE.

    Raises:
        UserError: WANDB_MODE is none of W&B's modes.
    """
    said = os.environ.get("WANDB_MODE") or wanted
    said = _ALIASES.get(said, said)
    if said not in _MODES:
        raise UserError(f"WANDB_MODE={said} is not valid; choose from {', '.join(_MODES)}")
    return min(wanted, said, key=_MODES.index)


def run_name(folder: RunFolder) -> str:
    """DATA/CONDITION/VARIANT/REPLICATE, or the end of it."""
    return "/".join(folder.path.parts[-4:])[-_LONGEST_NAME:]


def run_tags(experiment: Experiment) -> tuple[str, str, str]:
    """Variant, condition, data."""
    config = experiment.config
    return experiment.variant, config.condition.name, config.data.name


def group() -> str:
    """The name that runs of a sweep share; empty for a run by itself."""
    return os.environ.get("WANDB_RUN_GROUP", "")[:_LONGEST_NAME]


def login() -> str:
    """Log in to W&B with the key that there is; returns why nobody is logged in, or nothing."""
    import wandb

    try:
        if not wandb.login(prompt=False):  # which asks the server, and for no longer
            return "no login; `wandb login` makes one"
    except Exception as error:
        return one_line(error)
    return ""


def _run_id(folder: RunFolder) -> Path:
    """A file with the run's name in W&B, beside W&B's own: --fresh clears it, too."""
    stored = folder.path / "wandb" / "run-id"
    if not stored.exists():
        write_text(stored, secrets.token_hex(4))
    return stored


def _wandb_run(folder: RunFolder, experiment: Experiment, mode: str) -> Any:
    import wandb

    config = experiment.config
    settings = wandb.Settings(
        root_dir=str(folder.path),
        project=PROJECT,
        run_id=_run_id(folder).read_text(encoding="utf-8"),
        run_name=run_name(folder),
        run_tags=tuple(dict.fromkeys(tag[:_LONGEST_TAG] for tag in run_tags(experiment))),
        resume="allow",
        init_timeout=_CONNECTING,
        finish_timeout=_FINISHING,
    )
    settings.update_from_env_vars({k: v for k, v in os.environ.items() if v})
    settings.run_group = group() or None
    settings.mode = mode  # type: ignore[assignment]
    settings.silent = True
    settings.console = "off"  # a progress bar is no log
    settings.finish_timeout_raises = True
    settings.reinit = "create_new"  # stacked seeds are runs side by side
    if config.logger.project is not None:
        settings.project = config.logger.project
    return wandb.init(settings=settings, config=asdict(config) | {"variant": experiment.variant})


def _sync(run: Any) -> str:
    online = "" if run.settings.mode == "offline" else "--include-online "
    return f"wandb sync {online}{shlex.quote(str(run.settings.sync_dir))}"
