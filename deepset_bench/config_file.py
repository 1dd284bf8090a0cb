"""config.yaml of a run: what it holds, which part of it is what the run is, and reading it back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from deepset_bench import bounds, file_version, registry
from deepset_bench.composing import first_line
from deepset_bench.definition import KINDS
from deepset_bench.errors import UserError
from deepset_bench.reading import text_and_yaml
from deepset_bench.schema import OPTIONS, YOUNG, Config, flat
from deepset_bench.typed import as_config
from deepset_bench.validation import complete, validate

NOT_THE_EXPERIMENT = (
    *("runs_dir", "logger", "device", "threads", "form", "compile", "stack"),
    *("name", "init"),
)
"""Keys that say where and how a run is computed and what it is called, not what it is. What `init`
names is a part of it by its checksum."""


def resolved(config: Config) -> dict[str, Any]:
    """What config.yaml holds: every key, but for younger ones at their default (see `Config`)."""
    usual = _defaults()
    content = _without_young(config)
    return {k: v for k, v in content.items() if k not in usual or usual[k] != v}


def determinants(config: Config) -> dict[str, Any]:
    """The part of a configuration that determines the numbers, not where and how they are made."""
    return {k: v for k, v in resolved(config).items() if k not in NOT_THE_EXPERIMENT}


def completed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as `resolved` leaves them, and the younger ones of the experiment at default."""
    return {**_flat_defaults(), **settings}


@cache
def _flat_defaults() -> dict[str, Any]:
    values = _younger_of_groups()
    for key, value in ((k, v) for k, v in _younger().items() if k not in NOT_THE_EXPERIMENT):
        values[key] = asdict(value) if is_dataclass(value) else value  # type: ignore[arg-type]
    return flat(values)


@cache
def _defaults() -> dict[str, Any]:
    """The younger keys and their defaults, as `resolved` compares them."""
    younger = _younger().items()
    return {key: _without_young(v) if is_dataclass(v) else v for key, v in younger}


def _younger() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in fields(Config):
        if key.default_factory is not MISSING:
            found[key.name] = key.default_factory()
        elif key.default is not MISSING:
            found[key.name] = key.default
    return found


def _younger_of_groups() -> dict[str, Any]:
    """Dotted, of the groups that are older than they are."""
    groups = {name: kind for name, kind in get_type_hints(Config).items() if is_dataclass(kind)}
    return {
        f"{name}.{key.name}": key.default
        for name, kind in groups.items()
        if name not in NOT_THE_EXPERIMENT
        for key in fields(kind)
        if key.metadata == YOUNG and key.default is not MISSING
    }


def as_typed(config: Config) -> dict[str, Any]:
    """Every key as a person sets it: options of variants beside the other keys of their groups."""
    content = _without_young(config)
    if config.width_budget is None:
        del content["budget_of"]  # nobody sets it, and without a budget nothing reads it
    content.pop("sources", None)
    content.pop("init_sha256", None)
    for group in OPTIONS:
        content[group] |= content[group].pop("options", {})
    return content


def _without_young(part: Any) -> dict[str, Any]:
    """A dataclass as a mapping, without the YOUNG keys of it and its members at their default."""
    content = {}
    for key in fields(part):
        value = getattr(part, key.name)
        if key.metadata == YOUNG:
            default = key.default if key.default_factory is MISSING else key.default_factory()
            if value == default:
                continue
        content[key.name] = _without_young(value) if is_dataclass(value) else value
    return content


def load_config(path: Path, without: Collection[str] = ()) -> Config:
    """The configuration that `RunFolder.write_config` wrote.

    Args:
        path: the file.
        without: dotted keys to leave out.

    Raises:
        UserError: the file is missing, is no YAML, or holds what this version cannot use.
        OSError: the system refuses it.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file; name the folder of a trained run")
    text, plain = text_and_yaml(path, bounds.OPTION)
    try:
        content = OmegaConf.create(text)
    except (ValueError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise UserError(f"{path}: cannot be read ({first_line(error)})") from None
    try:
        if "${" in str(plain):
            raise UserError("${...} stands for a value, which is not looked up")
        if not (isinstance(plain, dict) and isinstance(content, DictConfig)):
            raise UserError("not a mapping of keys to values")
        if newer := file_version.newer(plain):
            raise UserError(newer)
        content.pop(file_version.KEY, None)
        for key in without:
            group, _, name = key.rpartition(".")
            del (OmegaConf.select(content, group) if group else content)[name]
        config = as_config(content)
    except UserError as error:
        raise UserError(f"{path}: {error}; not a configuration of this version") from None
    trained_with = dict(config.sources)
    _check_known(trained_with, path)
    try:
        validate(config)
        complete(config)
    except UserError as error:
        raise UserError(f"{path}: {error}; not a configuration of this version") from None
    _check_sources(trained_with, config.sources, path)
    return config


def _check_known(names: Collection[str], path: Path) -> None:
    """Raise a UserError where a variant that a run was trained with is not there."""
    for text in names:
        kind, _, name = text.partition(" ")
        if (kind, name) not in registry.variants():
            what = f"{KINDS[kind].words} {name}"
            raise UserError(
                f"{path}: trained with {what}, which is not the product's own; name its file with "
                f"--variants (a copy is in {path.parent / 'variants'})"
            )


def _check_sources(before: Mapping[str, str], now: Mapping[str, str], path: Path) -> None:
    """Raise a UserError where a variant is not the one that a run was trained with."""
    for name, checksum in before.items():
        if name in now and now[name] != checksum:
            raise UserError(
                f"{path}: the file of {name.partition(' ')[2]} has changed since this run; the one "
                f"that it was trained with is in {path.parent / 'variants'}, for --variants"
            )
