"""Options of groups -> one configuration: as Hydra composes it, and in a hundredth of the time.

A table or a sweep asks for a hundred compositions, and Hydra takes a tenth of a second for each.
Nearly every option file is plain: values, under the name of its group or (`# @package _global_`) at
the top, and in its defaults at most other groups' options. Such files are merged here; anything
else, and every error, is Hydra's own. Tests hold both to the same result.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from deepset_bench import bounds, registry
from deepset_bench.definition import KINDS
from deepset_bench.errors import UserError
from deepset_bench.groups import option_folders
from deepset_bench.reading import text_and_yaml

Composed = tuple[dict[str, Any], dict[str, str]]
"""The configuration, and each group's chosen option."""

Folders = tuple[Path, ...]
_PACKAGE = re.compile(r"^\s*#\s*@package\s+(\S+)\s*$", re.MULTILINE)
_CALL = re.compile(r"\$\{.*:", re.DOTALL)  # names may hold further ones
_OVERRIDE = "override /"


class _NotPlain(Exception):
    """A file does what only Hydra knows."""


def composed(lines: tuple[str, ...]) -> Composed:
    """The default configuration with these options, each `group=option`.

    Raises:
        UserError: an option that is not there, or a file that does not compose.
    """
    return _composed(lines, tuple(option_folders()))


@cache
def _composed(lines: tuple[str, ...], folders: Folders) -> Composed:
    try:
        return _merged(lines, folders)
    except (_NotPlain, OSError, OmegaConfBaseException):
        return _by_hydra(lines)


def _merged(lines: tuple[str, ...], folders: Folders) -> Composed:
    """Of plain files.

    Raises:
        _NotPlain: one is not.
    """
    package, defaults, values = _option(folders, "", "config")
    asked = dict(line.split("=", 1) for line in lines)
    choices: dict[str, str] = {}
    for entry in defaults:
        if entry == "_self_" and not choices:
            continue
        if not isinstance(entry, dict) or len(entry) > 1 or package != "_global_":
            raise _NotPlain
        choices |= {str(group): str(option) for group, option in entry.items()}
    if not asked.keys() <= choices.keys():
        raise _NotPlain
    choices |= asked
    for group in list(choices):
        for entry in _option(folders, group, choices[group])[1]:
            if not isinstance(entry, dict) or len(entry) > 1:
                raise _NotPlain
            ((key, option),) = entry.items()
            other = str(key).removeprefix(_OVERRIDE)
            if other == key or other not in choices or _option(folders, other, str(option))[1]:
                raise _NotPlain
            choices |= {} if other in asked else {other: str(option)}
    config = copied(values)
    for group, option in choices.items():
        package, _, values = _option(folders, group, option)
        place = config if package == "_global_" else config.setdefault(package, {})
        _merge(place, values)
    return config, choices


@cache
def _option(folders: Folders, group: str, option: str) -> tuple[str, list[Any], dict[str, Any]]:
    """The package, the defaults and the values of an option's file."""
    if not re.fullmatch(r"[\w.+-]+", option):
        raise _NotPlain  # quoted, several, deleted, ...
    for folder in folders:
        path = folder / group / f"{option}.yaml"
        if path.is_file():
            return _file(path, group)
    values = registry.implied(group, option)
    if values is None:
        raise _NotPlain
    return _package(group), [], values


def _package(group: str) -> str:
    """Where the values of a variant without a file go: a list is a key of its own."""
    return "_global_" if group == "scalars" else group


def _file(path: Path, group: str) -> tuple[str, list[Any], dict[str, Any]]:
    text, plain = text_and_yaml(path, bounds.OPTION)
    _check(plain, path)
    packages = _PACKAGE.findall(text)
    content = OmegaConf.create(text)
    if "${" in text or "???" in text or len(packages) > 1 or not isinstance(content, DictConfig):
        raise _NotPlain
    values = OmegaConf.to_container(content)
    assert isinstance(values, dict)
    package = packages[0] if packages else group or "_global_"
    if package != group and package != "_global_":
        raise _NotPlain
    return package, values.pop("defaults", []), {str(key): v for key, v in values.items()}


def _check(value: Any, path: Path) -> None:
    """Refuse what would read the environment or compute something where it is looked up.

    Raises:
        UserError: names the text.
    """
    if isinstance(value, str) and calls(value):
        raise UserError(f"{path}: {value[:60]} calls a resolver; write out its value")
    if isinstance(value, dict | list):
        for member in value:
            _check(member, path)
        for member in value.values() if isinstance(value, dict) else ():
            _check(member, path)


def calls(text: str) -> bool:
    """Whether a text calls one of OmegaConf's resolvers, as ${oc.env:HOME} does."""
    return bool(_CALL.search(text))


def copied(value: Any) -> Any:
    """Without the containers that the file's other readers have."""
    if isinstance(value, dict):
        return {key: copied(member) for key, member in value.items()}
    return [copied(member) for member in value] if isinstance(value, list) else value


def _merge(into: dict[str, Any], values: dict[str, Any]) -> None:
    """Mappings key by key, anything else whole."""
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = copied(value)


class _OptionFolders(SearchPathPlugin):
    """Tells Hydra the folders of imported data; as an override, few paths would parse."""

    def manipulate_search_path(self, search_path: Any) -> None:
        for folder in option_folders()[1:]:
            if folder.is_dir():
                search_path.append("imported", f"file://{folder}")


def _by_hydra(lines: tuple[str, ...]) -> Composed:
    """Of any files.

    Raises:
        UserError: see `composed`.
    """
    Plugins.instance().register(_OptionFolders)
    for kind, name in registry.variants():
        group = KINDS[kind].group
        without = registry.implied(group, name)
        described = any((folder / group / f"{name}.yaml").is_file() for folder in option_folders())
        if without is not None and not described:
            ConfigStore.instance().store(name, without, group, _package(group))
    try:
        with initialize_config_dir(str(option_folders()[0]), version_base="1.3"):
            config = compose("config", list(lines), return_hydra_config=True)
        choices = {k: str(v) for k, v in config.hydra.runtime.choices.items() if "/" not in k}
        OmegaConf.set_struct(config, False)
        del config["hydra"]
        values = OmegaConf.to_container(config, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        what = " ".join(lines) or "the defaults"
        raise UserError(f"cannot compose {what}: {first_line(error)}") from None
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}, choices


def first_line(error: BaseException) -> str:
    """What it says first; what caused it, where it says nothing itself, as some of Hydra's do."""
    if text := str(error).strip():
        return text.splitlines()[0]
    return first_line(error.__cause__) if error.__cause__ else type(error).__name__
