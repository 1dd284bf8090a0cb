"""Overrides -> composed, typed, validated configuration; the variant's name; the run's identity."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from deepset_bench import registry
from deepset_bench.applies import check_read
from deepset_bench.composing import Composed, composed, first_line
from deepset_bench.definition import KINDS
from deepset_bench.errors import UserError, nearest
from deepset_bench.groups import groups
from deepset_bench.schema import OPTIONS, YOUNG, Baseline, Config, complete, flat, validate
from deepset_bench.typed import NotExact, exactly

NUMERICS = 1
"""Raised whenever a change to the code changes the numbers that a given configuration produces."""

_NOT_THE_EXPERIMENT = ("runs_dir", "logger", "device", "threads", "form", "compile", "stack")
"""Keys that say where and how a run is computed, not what it is."""

_LONGEST_NAME, _LONGEST_FOLDER = 255, 80
"""Bytes of a variant's name, and of the folders that are made for it; a longer name ends in its
hash. The first is what most file systems allow; with folders of that length whole paths become too
long for archives, other file systems and people."""

# Hydra announces every composition through logging; only errors concern the user.
logging.getLogger("hydra").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Experiment:
    """One run's configuration, its variant's name and the groups' chosen options."""

    config: Config
    variant: str
    choices: dict[str, str]

    def identity(self, data_checksum: str) -> str:
        """Hash of what determines the numbers: resolved configuration, data, numerics version."""
        content = json.dumps([self.determinants, data_checksum, NUMERICS], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def folder_name(self) -> str:
        """The variant's name, short enough for a folder."""
        return _shortened(self.variant, _LONGEST_FOLDER)

    @cached_property
    def determinants(self) -> dict[str, Any]:
        """See `determinants`."""
        return determinants(self.config)

    def seeds(self) -> list[Experiment]:
        """The runs it stands for: `stack` of them, from its seed on."""
        config = self.config
        numbers = range(config.seed, config.seed + config.stack)
        return [replace(self, config=replace(config, seed=n, stack=1)) for n in numbers]


def resolved(config: Config) -> dict[str, Any]:
    """What config.yaml holds: every key, but for younger ones at their default (see `Config`)."""
    usual = _defaults()
    content = _without_young(config)
    return {k: v for k, v in content.items() if k not in usual or usual[k] != v}


def completed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as `resolved` leaves them, and the younger keys that are at their default."""
    return {**_flat_defaults(), **settings}


@cache
def _flat_defaults() -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in _younger().items():
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


def as_typed(config: Config) -> dict[str, Any]:
    """Every key as a person sets it: options of variants beside the other keys of their groups."""
    content = _without_young(config)
    if config.width_budget is None:
        del content["budget_of"]  # nobody sets it, and without a budget nothing reads it
    content.pop("sources", None)
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


def determinants(config: Config) -> dict[str, Any]:
    """The part of a configuration that determines the numbers, not where and how they are made."""
    return {k: v for k, v in resolved(config).items() if k not in _NOT_THE_EXPERIMENT}


def load_config(path: Path, without: Collection[str] = ()) -> Config:
    """The configuration that `RunFolder.write_config` wrote.

    Args:
        path: the file.
        without: dotted keys to leave out.

    Raises:
        UserError: the file is missing, is no YAML, or holds what this version cannot use.
    """
    try:
        content = OmegaConf.load(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; name the folder of a trained run") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read ({first_line(error)})") from None
    try:
        if not isinstance(content, DictConfig):
            raise UserError("not a mapping of keys to values")
        for key in without:
            group, _, name = key.rpartition(".")
            del (OmegaConf.select(content, group) if group else content)[name]
        config = _typed(content)
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


def experiment(overrides: Sequence[str]) -> Experiment:
    """The experiment that the overrides describe; `+group=option` and `group=option` are one.

    Raises:
        UserError: an override that does not parse, an unknown group, option or key, a value of
            the wrong type or out of range.
    """
    parsed = parse(overrides)
    for override in parsed:
        if override.is_sweep_override():
            raise UserError(
                f"{override.input_line} is several values; bench train takes one, "
                "bench sweep takes each of them"
            )
    known = groups()
    return _experiment(tuple(parsed_line(override, known) for override in parsed))


def parse(overrides: Sequence[str]) -> list[Override]:
    """Hydra's grammar, one override an argument."""
    return [_parsed(text) for text in overrides]


@cache
def _parsed(text: str) -> Override:
    """Each text once, for the runs of a table share most of them."""
    parser = OverridesParser.create()
    try:
        return parser.parse_override(text)
    except HydraException as error:
        key, _, value = text.partition("=")
        as_text = f"{key}={quoted(value)}"
        if key.lstrip("+") == "runs_dir":  # any path is one, quoted or not
            return parser.parse_override(as_text)
        reason = str(error).splitlines()[0]
        hint = f"; text goes in quotes: {shlex.quote(as_text)}" if key and value else ""
        raise UserError(f"cannot read override {text!r}: {reason}{hint}") from None


def check_once(typed: Sequence[str]) -> None:
    """Refuse a group or key that a person gave two values in one command.

    Overrides of a file and of a person are composed without this: there a later one replaces an
    earlier one on purpose.

    Raises:
        UserError: an override that does not parse, or two that contradict each other.
    """
    first: dict[str, Override] = {}
    for override in parse(typed):
        before = first.setdefault(override.key_or_group, override)
        if before.value() != override.value():
            raise UserError(
                f"{before.input_line} and {override.input_line}: "
                f"{override.key_or_group} is given twice; give one of them"
            )


def last_of_each(overrides: Sequence[str]) -> list[str]:
    """The same experiment's overrides without those that a later one replaces, to be typed."""
    return list({text.lstrip("+").partition("=")[0]: text for text in overrides}.values())


def quoted(text: str) -> str:
    """Any text as Hydra's grammar takes it for itself."""
    # A backslash is itself, unless a quote follows.
    escaped = re.sub(r'(\\*)("|$)', lambda found: 2 * found[1] + found[2].replace('"', '\\"'), text)
    return f'"{escaped}"'


def parsed_line(override: Override, known: Mapping[str, Collection[str]]) -> str:
    """The override as Hydra composes it: checked, and with or without `+` as it needs.

    Args:
        override: of one value.
        known: the `groups` there are.
    """
    key, line = override.key_or_group, override.input_line or ""
    line = line.lstrip("+~") if not override.is_delete() else line
    if override.is_delete():
        raise UserError(f"{line}: nothing can be deleted; set the group or key to another value")
    if key in known:
        value = override.value()
        if isinstance(value, list):
            return line
        if value not in known[key]:
            raise UserError(f"unknown option {key}={value}; {nearest(str(value), known[key])}")
        return line
    keys = _default_keys()
    if key in keys or key.startswith("reference.energies_ev."):
        return f"++{line}"
    optional = registry.optional_keys()
    if key not in optional:
        raise UserError(f"unknown group or key {key!r}; {nearest(key, {*keys, *optional, *known})}")
    return f"++{line.replace('.', '.options.', 1)}"


@cache
def _experiment(lines: tuple[str, ...]) -> Experiment:
    keys = [line for line in lines if line.startswith("++")]
    values, choices = _compose(tuple(line for line in lines if line not in keys))
    as_chosen = _typed(values)
    config = _typed(_with_keys(values, keys)) if keys else as_chosen
    validate(config)
    for one in (as_chosen, config):
        complete(one)
    usual = _usual(choices["data"], choices["condition"])
    check_read(config, usual | {"model.width": as_chosen.model.width})
    variant = _variant(config, as_chosen, choices)
    if config.width_budget is not None:
        config = replace(config, budget_of=_baseline())
    return Experiment(config, variant, choices)


def _with_keys(values: dict[str, Any], lines: Sequence[str]) -> dict[str, Any]:
    """Single keys set as Hydra sets them, without composing the same groups once more."""
    config = OmegaConf.create(values)
    try:
        for override in parse(lines):
            OmegaConf.update(config, override.key_or_group, override.value(), force_add=True)
        resolved_values = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"cannot compose {' '.join(lines)}: {first_line(error)}") from None
    assert isinstance(resolved_values, dict)
    return {str(key): value for key, value in resolved_values.items()}


@cache
def _compose(lines: tuple[str, ...]) -> Composed:
    """Compose groups; a list given for one replaces its value once the others are composed."""
    last = dict(line.split("=", 1) for line in lines)  # a later override replaces an earlier one
    lists = {k: v for k, v in last.items() if v.lstrip().startswith("[")}
    for key, text in lists.items():
        if key != "scalars":
            raise UserError(f"{key}={text}: {key} takes one option, not a list")
    values, choices = composed(tuple(f"{k}={v}" for k, v in last.items() if k not in lists))
    for key, text in lists.items():
        try:
            value: Any = OmegaConf.to_container(OmegaConf.create(text))
        except (OmegaConfBaseException, yaml.YAMLError) as error:
            raise UserError(f"cannot compose {key}={text}: {first_line(error)}") from None
        values = values | {key: value}
        choices = choices | {key: _option_of(key, value) or "_".join(map(str, value))}
    return values, choices


def _option_of(group: str, value: Any) -> str | None:
    """The option of a list-valued group that holds this value."""
    for option in groups()[group]:
        if composed((f"{group}={option}",))[0][group] == value:
            return option
    return None


def _base(choices: dict[str, str]) -> Composed:
    """The baseline of an experiment's data and condition."""
    return _compose(tuple(f"{group}={choices[group]}" for group in ("data", "condition")))


@cache
def _usual(data: str, condition: str) -> dict[str, Any]:
    return flat(asdict(_typed(_base({"data": data, "condition": condition})[0])))


def _typed(values: dict[str, Any] | DictConfig) -> Config:
    with suppress(NotExact):
        exact: Config = exactly(Config, values)
        return exact
    try:
        typed = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), values))
    except OmegaConfBaseException as error:
        key = str(getattr(error, "full_key", None))
        if key.endswith("_size") and re.search(r"'0?\.\d+' of type 'float'", str(error)):
            raise UserError(f"{key} is a number of frames, not a fraction of them") from None
        raise UserError(f"{key}: {first_line(error)}") from None
    assert isinstance(typed, Config)
    return typed


@cache
def _default_keys() -> frozenset[str]:
    """Every plain key of the default composition that can be set, dotted."""
    found = flat(asdict(_typed(_compose(())[0])))
    unset = {"sources", *(f"{group}.options" for group in OPTIONS)}
    return frozenset(k for k in found.keys() - unset if not k.startswith("budget_of."))


def usual_value(key: str) -> Any:
    """The value that a dotted key has where nobody sets it; None where it has none."""
    if key in registry.optional_keys():
        of = registry.optional_keys()[key][0]
        kind = registry.kind_of(key.partition(".")[0])
        return registry.find(str(kind), of).options[key.partition(".")[2]].default
    return flat(asdict(_typed(_compose(())[0]))).get(key)


def _baseline() -> Baseline:
    usual = _typed(_compose(())[0])
    complete(usual)
    return Baseline(**{key.name: getattr(usual, key.name) for key in fields(Baseline)})


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


def _variant(config: Config, as_chosen: Config, choices: dict[str, str]) -> str:
    """What sets this experiment apart from its condition's baseline, as a name.

    Options that differ from the baseline's, then `key-value` for single keys; `baseline` when
    nothing differs. The same experiment gets the same name however it was asked for.
    """
    _, base = _base(choices)
    changed = {g: c for g, c in choices.items() if base[g] != c and not _elsewhere(g)}
    alone = ("scalars", "gnn", "model")  # their options are names enough
    parts = [c if g in alone else f"{g}-{c}" for g, c in sorted(changed.items())]
    # Typed values, so that 1, 1.0 and '1' are one number with one name.
    expected = flat(asdict(as_chosen))
    for key, value in sorted(flat(asdict(config)).items()):
        if expected.get(key) != value and not _elsewhere(key):
            text = "_".join(map(str, value)) or "none" if isinstance(value, list) else value
            parts.append(f"{key.replace('.options.', '.')}-{text}")
    name = "+".join(parts) or "baseline"
    name = "".join(character if character not in "/ '[]{}" else "_" for character in name)
    return _shortened(name, _LONGEST_NAME)


def _shortened(name: str, most: int) -> str:
    """The name, which ends in its hash where it has more bytes."""
    if len(name.encode()) <= most:
        return name
    start = name.encode()[: most - 9].decode(errors="ignore")
    return f"{start}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _elsewhere(key: str) -> bool:
    """Whether a key or group is no part of the variant's name: it has a place of its own."""
    top = key.split(".")[0]
    named = ("seed", "data", "condition", "data.name")
    return key in named or top in ("sources", *_NOT_THE_EXPERIMENT)
