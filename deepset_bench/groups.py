"""The configuration groups and their options, read from file names, and variants."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from deepset_bench import registry
from deepset_bench.definition import KINDS
from deepset_bench.files import data_homes, resource
from deepset_bench.surroundings import of_study

_ALONE = ("model", "graph_layer", "radial_basis")
"""Kinds of variants that are options by themselves; the product's others are parts of options."""


def option_folders() -> list[Path]:
    """Where groups are looked up: the product's own, the study's, then the user's imported data."""
    homes = (home / "conf" for home in data_homes())
    return [resource("conf"), *of_study("conf"), *homes]


def groups(folders: Sequence[Path] | None = None) -> dict[str, list[str]]:
    """Every configuration group with its options, both in alphabetical order.

    Args:
        folders: where to look; None for all `option_folders`.
    """
    found: dict[str, set[str]] = {}
    for folder in option_folders() if folders is None else folders:
        for place, _, names in os.walk(folder):  # in a third of the time of Path.glob
            options = {name.removesuffix(".yaml") for name in names if name.endswith(".yaml")}
            if options and Path(place).parent == folder:
                found.setdefault(Path(place).name, set()).update(options)
    if folders is None:
        for (kind, name), one in registry.variants().items():
            group = KINDS[kind].group
            of_its_own = kind in _ALONE or not one.ours
            if of_its_own and registry.implied(group, name) is not None:
                found[group].add(name)
    return {group: sorted(found[group]) for group in sorted(found)}


def is_override(argument: str) -> bool:
    """Whether an argument is an override, and no path, which may hold a `=`, too."""
    return "=" in argument and not os.access(argument, os.F_OK)
