"""Overrides -> composed, typed, validated configuration; the variant's name; the run's identity."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from deepset_bench import registry, replicate
from deepset_bench.applies import check_read
from deepset_bench.composing import Composed, calls, composed, copied, first_line
from deepset_bench.config_file import NOT_THE_EXPERIMENT, determinants
from deepset_bench.errors import UserError, nearest
from deepset_bench.groups import groups
from deepset_bench.overrides import parse
from deepset_bench.schema import OPTIONS, Baseline, Config, flat
from deepset_bench.tuned import expanded
from deepset_bench.typed import as_config
from deepset_bench.validation import complete, validate

NUMERICS = 1
"""Raised whenever a change to the code changes the numbers that a given configuration produces."""

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
        """The name that a person gave it, else the variant's, short enough for a folder."""
        return self.config.name or _shortened(self.variant, _LONGEST_FOLDER)

    @cached_property
    def determinants(self) -> dict[str, Any]:
        """See `determinants`."""
        return determinants(self.config)

    def seeded(self, seed: int) -> Experiment:
        """The same with another seed; the part of it that takes longest to find is found once."""
        one = replace(self, config=replace(self.config, seed=seed))
        vars(one)["determinants"] = self.determinants | {"seed": seed}
        return one

    def seeds(self) -> list[Experiment]:
        """The runs it stands for: `stack` of them, from its seed on."""
        config = self.config
        numbers = range(config.seed, config.seed + config.stack)
        return [replace(self, config=replace(config, seed=n, stack=1)) for n in numbers]


def experiment(
    overrides: Sequence[str], known: Mapping[str, Collection[str]] | None = None
) -> Experiment:
    """The experiment that the overrides describe; `+group=option` and `group=option` are one.

    Args:
        overrides: of one value each.
        known: the `groups` there are, for who asks for many; None looks them up.

    Raises:
        UserError: an override that does not parse, an unknown group, option or key, a value of
            the wrong type or out of range.
    """
    parsed = parse(expanded(overrides))
    for override in parsed:
        if override.is_sweep_override():
            raise UserError(
                f"{override.input_line} is several values; bench train takes one, "
                "bench sweep takes each of them"
            )
    known = groups() if known is None else known
    return _experiment(tuple(parsed_line(override, known) for override in parsed))


def asked_for(overrides: Sequence[str]) -> dict[str, Any]:
    """Dotted keys of config.yaml -> the values that overrides ask for, whatever else a run has.

    An option of a group asks for all keys of the group, one of `data` and `condition` for its name.

    Args:
        overrides: of one value each.

    Raises:
        UserError: an unknown group, option or key.
    """
    known = groups()
    lines = [parsed_line(override, known) for override in parse(expanded(overrides))]
    keys = [line for line in lines if line.startswith("++")]
    named = [line for line in lines if line not in keys]
    values = flat(_with_keys(_compose(tuple(named))[0], keys))
    asked = {line.removeprefix("++").partition("=")[0] for line in lines}
    asked |= {f"{group}.name" for group in ("data", "condition") if group in asked}
    asked -= {"data", "condition"}
    return {k: v for k, v in values.items() if any(f"{k}.".startswith(f"{a}.") for a in asked)}


def parsed_line(override: Override, known: Mapping[str, Collection[str]]) -> str:
    """The override as Hydra composes it: checked, and with or without `+` as it needs.

    Args:
        override: of one value.
        known: the `groups` there are.
    """
    key, line = override.key_or_group, override.input_line or ""
    if calls(line):
        raise UserError(f"{line:.200}: calls a resolver; write out its value")
    line = line.lstrip("+~") if not override.is_delete() else line
    if override.is_delete():
        raise UserError(f"{line}: nothing can be deleted; set the group or key to another value")
    if key.partition(".")[0] == "executor":
        raise UserError(f"{line}: says where a sweep trains its runs; bench sweep takes it")
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
    as_chosen = as_config(values)
    config = as_config(_with_keys(values, keys)) if keys else as_chosen
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
    overrides = parse(lines)
    if all(_is_plain(values, one) for one in overrides):
        changed = copied(values)
        for one in overrides:
            *path, last = one.key_or_group.split(".")
            place = changed
            for key in path:
                place = place.setdefault(key, {})
            place[last] = one.value()
        return changed
    config = OmegaConf.create(values)
    try:
        for override in parse(lines):
            OmegaConf.update(config, override.key_or_group, override.value(), force_add=True)
        resolved_values = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"cannot compose {' '.join(lines)}: {first_line(error)}") from None
    assert isinstance(resolved_values, dict)
    return {str(key): value for key, value in resolved_values.items()}


def _is_plain(values: dict[str, Any], override: Override) -> bool:
    """Whether an override sets one value where mappings lead: all but a few do."""
    place: Any = values
    for key in override.key_or_group.split("."):
        if not isinstance(place, dict) or not key.isidentifier():
            return False
        place = place.get(key, {})
    value = override.value()
    plain = value is None or isinstance(value, bool | int | float)
    plain = plain or (isinstance(value, str) and not {*"$\\"} & {*value})
    return plain and not (isinstance(place, dict) and place)


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
    return flat(asdict(as_config(_base({"data": data, "condition": condition})[0])))


@cache
def _default_keys() -> frozenset[str]:
    """Every plain key of the default composition that can be set, dotted."""
    found = flat(asdict(as_config(_compose(())[0])))
    unset = {"sources", "init_sha256", *(f"{group}.options" for group in OPTIONS)}
    return frozenset(k for k in found.keys() - unset if not k.startswith("budget_of."))


def usual_value(key: str) -> Any:
    """The value that a dotted key has where nobody sets it; None where it has none."""
    if key in registry.optional_keys():
        of = registry.optional_keys()[key][0]
        kind = registry.kind_of(key.partition(".")[0])
        return registry.find(str(kind), of).options[key.partition(".")[2]].default
    return flat(asdict(as_config(_compose(())[0]))).get(key)


def _baseline() -> Baseline:
    usual = as_config(_compose(())[0])
    complete(usual)
    return Baseline(**{key.name: getattr(usual, key.name) for key in fields(Baseline)})


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
    if config.init is not None:
        parts.append("init-" + "_".join(Path(config.init).absolute().parts[-4:]))
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
    named = ("data", "condition", "data.name", *replicate.KEYS)
    return key in named or top in ("sources", "init_sha256", *NOT_THE_EXPERIMENT)
