"""The configuration group `executor`: where a sweep trains its runs, which is no part of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepset_bench import registry
from deepset_bench.errors import UserError, nearest
from deepset_bench.groups import groups, is_override, option_folders
from deepset_bench.overrides import parse
from deepset_bench.reading import read_yaml
from deepset_bench.sweep.executors.executor import Make, executor

GROUP = "executor"


def apart(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words of a command that are about the executor, and the others."""
    words = [word for word in arguments if is_override(word) and _key(word)[0] == GROUP]
    return words, [word for word in arguments if word not in words]


def chosen(words: Sequence[str]) -> tuple[Make, dict[str, Any]]:
    """What makes the executor that words ask for, and its settings.

    Raises:
        UserError: no such option, or several of them.
    """
    option = "local"
    changed: dict[str, Any] = {}
    for override in parse(words):
        key, line = override.key_or_group, str(override.input_line)
        if override.is_delete() or override.is_sweep_override():
            raise UserError(f"{line}: a sweep has one executor; give one value")
        if key == GROUP:
            option = str(override.value())
        else:
            changed[key.removeprefix(f"{GROUP}.")] = override.value()
    settings = {**_settings(option), **changed}
    return executor(settings.pop("kind", option)), settings


def _key(word: str) -> list[str]:
    return word.lstrip("+").partition("=")[0].split(".")


def _settings(option: str) -> dict[str, Any]:
    """The content of the option's file; empty for an executor of somebody's own without one."""
    for folder in option_folders():
        path = folder / GROUP / f"{option}.yaml"
        if path.is_file():
            content = read_yaml(path)
            if not isinstance(content, dict) or not isinstance(content.get("kind"), str):
                raise UserError(f"{path}: must have a kind, as in kind: slurm")
            return dict(content)
    if option not in registry.names(GROUP):
        known = sorted({*groups()[GROUP], *registry.names(GROUP)})
        raise UserError(f"no executor is called {option}; {nearest(option, known)}")
    return {}
