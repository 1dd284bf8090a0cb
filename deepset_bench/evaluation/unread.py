"""Configuration keys that nothing reads: a setting of the report's that never reached its model."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from deepset_bench import file_version
from deepset_bench.config import experiment
from deepset_bench.config_file import determinants
from deepset_bench.errors import UserError
from deepset_bench.reading import read_yaml
from deepset_bench.runs import RunFolder
from deepset_bench.schema import OPTIONS, Config, flat
from deepset_bench.training.loop import Member, fit
from deepset_bench.training.schedule import LearningRate
from deepset_bench.training.setup import prepare
from deepset_bench.training.step import SingleOptimisation

_LABELS = ("condition.name", "data.name", "sources", "init_sha256")  # read where folders are named
_TABLES = (  # whose keys are the user's, or a variant's, which knows them
    *("reference.energies_ev.", "sources."),
    *(f"{group}.options." for group in OPTIONS),
)
_BATCHES = 2  # of training, in the trial run


def unknown_keys(path: Path) -> list[str]:
    """Dotted keys of a config.yaml that this version has no place for.

    Raises:
        UserError: the file cannot be read, or is no mapping.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a mapping of keys to values")
    known = values(experiment([]).config)
    given = flat(file_version.unmarked(content))
    return [key for key in given if key not in known and not key.startswith(_TABLES)]


def unread_keys(config: Config) -> list[str]:
    """Dotted keys that were changed from their condition's default and that a run does not read.

    A short training run with this configuration is made, and watched.

    Raises:
        UserError: the data set is not there.
    """
    default = values(experiment([f"condition={config.condition.name}"]).config)
    counts = tuple(determinants(config))
    changed = [
        key
        for key, value in values(config).items()
        if default[key] != value and key.startswith(counts) and key not in _LABELS
    ]
    if not changed:
        return []
    size = _BATCHES * config.trainer.batch_size
    data = replace(
        config.data,
        train_size=min(config.data.train_size, size),
        val_size=min(config.data.val_size, size),
        test_size=min(config.data.test_size, size),
    )
    trial = replace(config, data=data, trainer=replace(config.trainer, epochs=1), device="cpu")
    read: set[str] = set()
    _train(watched(trial, read.add))
    return [key for key in changed if key not in read]


def values(config: Any, prefix: str = "") -> dict[str, Any]:
    """Every field of nested dataclasses by its dotted name."""
    found: dict[str, Any] = {}
    for field in fields(config):
        value, name = getattr(config, field.name), f"{prefix}{field.name}"
        found |= values(value, f"{name}.") if is_dataclass(value) else {name: value}
    return found


def _train(config: Config) -> None:
    """Everything that a run does with its configuration."""
    setup = prepare(config)
    optimisation = SingleOptimisation(setup, config, compile_steps=False, say=lambda _: None)
    with tempfile.TemporaryDirectory() as path:
        folder = RunFolder(Path(path))
        folder.config.touch()
        fit([Member(setup, config, folder, "", lambda _: None)], optimisation)
    rate = LearningRate(config.trainer, total_steps=10)
    rate.at(config.trainer.schedule.warmup_steps)
    for _ in range((config.trainer.schedule.patience or 0) + 2):
        rate.epoch_ended(1.0)


def watched(config: Any, on_read: Callable[[str], object], prefix: str = "") -> Any:
    """A copy of a dataclass that reports the dotted name of every field that is read."""
    parts: dict[str, Any] = {}
    for field in fields(config):
        part = getattr(config, field.name)
        name = f"{prefix}{field.name}"
        parts[field.name] = watched(part, on_read, f"{name}.") if is_dataclass(part) else part
    copy: Any = object.__new__(_watching(type(config)))
    object.__setattr__(copy, "_report", lambda name: on_read(f"{prefix}{name}"))
    for name, part in parts.items():
        object.__setattr__(copy, name, part)
    return copy


def _watching(kind: Any) -> Any:
    names = {field.name for field in fields(kind)}

    class Watched(kind):
        _report: Callable[[str], object] = staticmethod(lambda _: None)  # of copies of a copy

        def __getattribute__(self, name: str) -> Any:
            if name in names:
                object.__getattribute__(self, "_report")(name)
            return object.__getattribute__(self, name)

    return Watched
