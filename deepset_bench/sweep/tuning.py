"""Equal effort: the trials by which settings of several networks are chosen.

`tuning.yaml` of a study lists networks, validation tasks and options of the settings; every network
gets the same trials, its own settings first. They are runs like any others, of the comparison
`tuning`. What is chosen of them goes to `tuned.yaml` (`study.choosing`).
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepset_bench.errors import UserError
from deepset_bench.reading import mapping, read_yaml

_KEYS = ("title", "common", "networks", "tasks", "space", "trials", "seed")
_MOST = 10_000
"""Trials of a network: more are a mistake."""


@dataclass(frozen=True)
class Tuning:
    """What `tuning.yaml` asks for.

    Attributes:
        title: what the trials are for.
        common: overrides of every run.
        networks: name -> its overrides.
        tasks: name -> the overrides that choose frames.
        points: of each trial, the overrides of its settings; of the first none, which leaves the
            network as it is.
        hash: SHA-256 of all of these.
    """

    title: str
    common: tuple[str, ...]
    networks: Mapping[str, tuple[str, ...]]
    tasks: Mapping[str, tuple[str, ...]]
    points: tuple[tuple[str, ...], ...]

    @property
    def hash(self) -> str:
        """Of what decides which runs are made."""
        content = [self.common, dict(self.networks), dict(self.tasks), self.points]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def rows(self) -> dict[str, tuple[str, ...]]:
        """Label -> overrides of every run of one seed, without what is common."""
        return {
            label(network, trial, task): (*own, *point, *frames)
            for trial, point in enumerate(self.points)
            for network, own in self.networks.items()
            for task, frames in self.tasks.items()
        }


def label(network: str, trial: int, task: str) -> str:
    """What a trial of a network on a task is called."""
    return f"{network}, trial {trial}, {task}"


def read(path: Path) -> Tuning:
    """Read and check `tuning.yaml`.

    Raises:
        UserError: not YAML, an unknown or missing key, a value of the wrong kind.
    """
    content = mapping(read_yaml(path), str(path), _KEYS)
    title = content.get("title")
    if not isinstance(title, str):
        raise UserError(f"{path}: title is missing or not text")
    named = {
        key: {
            name: _overrides(lines, f"{path}: {key}.{name}")
            for name, lines in _filled(content, key, path).items()
        }
        for key in ("networks", "tasks")
    }
    trials, seed = content.get("trials"), content.get("seed", 0)
    if type(trials) is not int or not 1 <= trials <= _MOST:
        raise UserError(f"{path}: trials must be a whole number from 1 to {_MOST}")
    if type(seed) is not int:
        raise UserError(f"{path}: seed must be a whole number")
    common = _overrides(content.get("common", []), f"{path}: common")
    points = _points(_filled(content, "space", path), trials, seed, path)
    return Tuning(title, common, named["networks"], named["tasks"], points)


def _points(
    space: Mapping[str, Any], trials: int, seed: int, path: Path
) -> tuple[tuple[str, ...], ...]:
    """No settings first, then as many different combinations as there are trials left."""
    for key, options in space.items():
        if not isinstance(options, list) or not options:
            raise UserError(f"{path}: space.{key} must be a list of options")
    size = math.prod(len(options) for options in space.values())
    if trials - 1 > size:
        raise UserError(f"{path}: trials: {trials}, and space has {size} combinations")
    drawn = random.Random(seed).sample(range(size), trials - 1)  # without listing them
    return ((), *(_combination(space, number) for number in drawn))


def _combination(space: Mapping[str, list[Any]], number: int) -> tuple[str, ...]:
    lines = []
    for key, options in space.items():
        number, place = divmod(number, len(options))
        option = options[place]
        text = json.dumps(option) if option is None or isinstance(option, bool) else str(option)
        lines.append(f"{key}={text}")
    return tuple(lines)


def _filled(content: Mapping[str, Any], key: str, path: Path) -> dict[str, Any]:
    found = content.get(key)
    if not isinstance(found, dict) or not found:
        raise UserError(f"{path}: {key} must be a mapping with at least one entry")
    if wrong := next((name for name in found if not isinstance(name, str) or not name), None):
        raise UserError(f"{path}: {key}: {wrong!r} is not text")
    return found


def _overrides(content: Any, where: str) -> tuple[str, ...]:
    if not isinstance(content, list) or not all(
        isinstance(line, str) and "=" in line for line in content
    ):
        raise UserError(f"{where}: must be a list of overrides, as in [model=schnet]")
    return tuple(content)
