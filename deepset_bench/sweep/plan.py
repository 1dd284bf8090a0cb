"""Overrides with several values, or a named sweep -> the list of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException

from deepset_bench.config import Experiment, experiment
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError, nearest
from deepset_bench.groups import groups, is_override
from deepset_bench.overrides import parse
from deepset_bench.runs import RunFolder, run_folder
from deepset_bench.sweep import named


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a sweep.

    Attributes:
        overrides: ask `bench train` for this run.
        checksums: of the sets that it is trained on; see `catalogue.checksums`.
    """

    overrides: tuple[str, ...]
    experiment: Experiment
    checksums: dict[str, str]

    @cached_property
    def identity(self) -> str:
        """See `Experiment.identity`."""
        return self.experiment.identity("+".join(self.checksums.values()))

    @cached_property
    def folder(self) -> RunFolder:
        """Where it lives."""
        return run_folder(self.experiment)

    @property
    def name(self) -> str:
        """DATA/CONDITION/VARIANT/seed-N."""
        return "/".join(self.folder.path.parts[-4:])

    @cached_property
    def variant(self) -> dict[str, Any]:
        """The configuration without the seed; equal for runs that can be stacked."""
        return {**asdict(self.experiment.config), "seed": None}


@dataclass(frozen=True)
class Plan:
    """The runs of a sweep, each once; `repeated` combinations asked for a run already listed.

    `name` is that of a named sweep, else the overrides.
    """

    name: str
    title: str
    runs: list[Run]
    repeated: int


def plan(arguments: Sequence[str], seeds: int | None = None) -> Plan:
    """What `bench sweep ARGUMENTS --seeds SEEDS` runs, seed by seed.

    Args:
        arguments: overrides in Hydra's grammar, in which several values are an axis, and at most
            one named sweep, to each of whose runs the overrides are appended.
        seeds: run each combination with seeds 0 to seeds - 1.

    Raises:
        UserError: an override, file or combination that cannot be used, an unknown data set, or
            seeds given twice.
    """
    overrides = [text for text in arguments if is_override(text)]
    files = [text for text in arguments if not is_override(text)]
    if len(files) > 1:
        raise UserError(f"{' '.join(files)}: one named sweep at a time")
    name, title, listed = " ".join(overrides), "", {"": list(overrides)}
    if files:
        sweep = named.read(named.find(files[0]))
        name, title = sweep.path.stem, sweep.title
        listed = {f"{sweep.path}: {k}: ": [*v, *overrides] for k, v in sweep.overrides.items()}
    asked_for: list[tuple[tuple[str, ...], Experiment]] = []
    for where, lines in listed.items():
        try:
            asked_for += [(line, experiment(line)) for line in combinations(lines, seeds)]
        except UserError as error:
            raise UserError(f"{where}{error}") from None
    # Seed by seed, so that a sweep that is stopped early has compared all its variants.
    numbers = [None] if seeds is None else list(range(seeds))
    runs = [_run(*one, seed) for seed in numbers for one in asked_for]
    each = {run.folder.path: run for run in reversed(runs)}
    kept = [run for run in runs if each[run.folder.path] is run]
    return Plan(name, title, kept, len(runs) - len(kept))


def combinations(overrides: Sequence[str], seeds: int | None = None) -> list[tuple[str, ...]]:
    """The product of all axes: overrides of one value each.

    Raises:
        UserError: an override that does not parse or has values that cannot be listed, a seed
            beside `seeds`, or `stack`, which is several runs.
    """
    parsed = parse(overrides)
    for override in parsed:
        if seeds is not None and override.key_or_group == "seed":
            raise UserError(f"{override.input_line} and --seeds {seeds}: give one of them")
        if override.key_or_group == "stack":
            raise UserError(f"{override.input_line}: a sweep takes --seeds N and --stack N instead")
    return list(product(*(_values(override) for override in parsed)))


def _values(override: Override) -> list[str]:
    """The override once for each of its values."""
    line, key = override.input_line or "", override.key_or_group
    if not override.is_sweep_override():
        return [line]
    value = override.value()
    if isinstance(value, Glob):
        # Not by Hydra, which does not know the options of imported data.
        if key not in groups():
            raise UserError(f"{line}: {key} is no group; {nearest(key, groups())}")
        values = value.filter(groups()[key])
    else:
        try:
            values = list(override.sweep_string_iterator())
        except HydraException:
            raise UserError(f"{line}: cannot be listed; use a,b or range(start,stop)") from None
    if not values:
        raise UserError(f"{line}: there is no such value")
    return [f"{override.get_key_element()}={text}" for text in values]


def _run(overrides: tuple[str, ...], described: Experiment, seed: int | None) -> Run:
    if seed is not None:
        described = replace(described, config=replace(described.config, seed=seed))
        overrides = (*overrides, f"seed={seed}")
    return Run(overrides, described, catalogue.checksums(described.config.sets))
