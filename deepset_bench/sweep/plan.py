"""Overrides with several values, or a named sweep -> the list of runs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from deepset_bench import registry, replicate
from deepset_bench.config import Experiment, experiment
from deepset_bench.data import catalogue
from deepset_bench.errors import NotInstalled, UserError
from deepset_bench.groups import groups, is_override
from deepset_bench.overrides import last_of_each
from deepset_bench.runs import RunFolder, check_name, run_folder, with_start
from deepset_bench.schema import flat
from deepset_bench.stamps import Stamp
from deepset_bench.surroundings import STUDY
from deepset_bench.sweep import folders, studies
from deepset_bench.sweep.axes import MOST, combinations
from deepset_bench.sweep.comparisons import Comparison
from deepset_bench.sweep.registered import carried_by
from deepset_bench.sweep.studies import Study


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a sweep.

    Attributes:
        overrides: ask `bench train` for this run.
        checksums: of the sets that it is trained on; see `catalogue.checksums`.
        study: the folder of the study that it is trained for, if it is for one.
        stamps: that it carries beside the study's.
    """

    overrides: tuple[str, ...]
    experiment: Experiment
    checksums: dict[str, str]
    study: Path | None = None
    stamps: tuple[Stamp, ...] = ()

    @cached_property
    def identity(self) -> str:
        """See `Experiment.identity`."""
        return self.experiment.identity("+".join(self.checksums.values()))

    @cached_property
    def folder(self) -> RunFolder:
        """Where it lives."""
        return run_folder(self.experiment)

    @property
    def registered(self) -> list[Stamp]:
        """The stamps that it carries if it starts now.

        Raises:
            UserError: the study's `registered.yaml` is damaged.
        """
        return [*carried_by(self.study, self.experiment.config.runs_dir), *self.stamps]

    @property
    def is_taken(self) -> bool:
        """Whether its folder holds another run: of other data, variants or an earlier version."""
        there = self.folder.occupant()
        return there != "" and there != self.identity  # which takes longest to find out

    @property
    def name(self) -> str:
        """DATA/CONDITION/VARIANT/REPLICATE."""
        return "/".join(self.folder.path.parts[-4:])

    @property
    def command(self) -> str:
        """What trains it, typed where its sweep would be."""
        study = os.environ.get(STUDY, "")
        env = ["env", f"{STUDY}={study}"] if study and Path(study).resolve() != Path.cwd() else []
        variants = registry.to_type(registry.variants().values())
        return shlex.join([*env, "bench", "train", *variants, *last_of_each(self.overrides)])

    @cached_property
    def variant(self) -> dict[str, Any]:
        """The configuration without the seed; equal for runs that can be stacked."""
        return {**asdict(self.experiment.config), "seed": None}


@dataclass(frozen=True)
class Plan:
    """The runs of a sweep, each once; `repeated` combinations asked for a run already listed.

    `name` is that of a study, whichever of its comparisons is meant; of a comparison by itself its
    own, else the overrides.
    """

    name: str
    title: str
    runs: list[Run]
    repeated: int


def plan(arguments: Sequence[str], seeds: int | None = None) -> Plan:
    """What `bench sweep ARGUMENTS --seeds SEEDS` runs, seed by seed.

    Args:
        arguments: overrides in Hydra's grammar, in which several values are an axis, and at most
            one study or comparison, to each of whose runs the overrides are appended; without
            one and without axes, the study in this folder, if there is one.
        seeds: run each combination with seeds 0 to seeds - 1.

    Raises:
        UserError: an override, file or combination that cannot be used, an unknown data set, or
            seeds given twice.
    """
    overrides = [text for text in arguments if is_override(text)]
    named = [text for text in arguments if not is_override(text)]
    if len(named) > 1:
        raise UserError(f"{' '.join(named)}: name one sweep only")
    name, title, listed = " ".join(overrides), "", {"": list(overrides)}
    study, comparison = studies.find(named[0]) if named else (studies.here(overrides), None)
    if study is not None:
        asked = comparison or study
        name, title = (asked if study.folder is None else study).name, asked.title
        listed = _listed(study, comparison, overrides)
    asked_for: list[tuple[tuple[str, ...], Experiment]] = []
    known = groups()
    for where, lines in listed.items():
        try:
            asked_for += [(line, experiment(line, known)) for line in combinations(lines, seeds)]
        except UserError as error:
            raise UserError(f"{where}{error}") from None
    # Seed by seed, so that a sweep that is stopped early has compared all its variants.
    if seeds is not None and seeds * len(asked_for) > MOST:
        raise UserError(f"--seeds {seeds}: are over {MOST} runs; ask for fewer")
    numbers = [None] if seeds is None else list(range(seeds))
    home = study.folder if study is not None else folders.stood_in()
    sets = {config.sets for config in (one.config for _, one in asked_for)}
    sums = {names: catalogue.checksums(names) for names in sets}
    runs = [_run(*one, seed, home, sums) for seed in numbers for one in asked_for]
    _check_names(runs)
    each = {run.folder.path: run for run in reversed(runs)}
    kept = [run for run in runs if each[run.folder.path] is run]
    return Plan(name, title, kept, len(runs) - len(kept))


def trainable(planned: Plan) -> tuple[Plan, list[str]]:
    """The runs of networks whose packages are here, and a line for each network whose are not.

    Raises:
        NotInstalled: no run is left.
    """
    missing = {
        run: (network.name, network.to_install)
        for run in planned.runs
        if (network := run.experiment.config.network).to_install
    }
    if not missing:
        return planned, []
    lines = [f"model={name}: not installed: {how}" for name, how in dict.fromkeys(missing.values())]
    if len(missing) == len(planned.runs):
        raise NotInstalled("; ".join(lines))
    kept = [run for run in planned.runs if run not in missing]
    return replace(planned, runs=kept), [f"{line}; its runs are left out" for line in lines]


def _listed(
    study: Study, comparison: Comparison | None, overrides: Sequence[str]
) -> dict[str, list[str]]:
    """What is asked of each row, by where it is from: of a study, under each of its conditions."""
    chosen = [text for text in overrides if text.lstrip("+").startswith("condition=")]
    found = {}
    for one in [comparison] if comparison else study.shown:
        each = [""] if comparison or chosen or one.condition else study.conditions or [""]
        for condition in each:
            added = [*one.seeds, *overrides, *([f"condition={condition}"] if condition else [])]
            for row in one.runs:
                where = " ".join(filter(None, (f"{one.file[0]}: {row.label}", condition)))
                found[f"{where}: "] = [*row.overrides, *added]
    return found


def _check_names(runs: Sequence[Run]) -> None:
    """Refuse a folder for two variants: one `name`, or runs to start from that end alike."""
    first: dict[Path, Run] = {}
    for run in runs:
        other = first.setdefault(run.folder.path.parent, run)
        name = run.experiment.config.name
        if not (name or other.experiment.config.name) and other.folder.path != run.folder.path:
            continue  # called by what they are
        a, b = (flat(one.experiment.determinants) for one in (other, run))
        keys = [key for key in {**a, **b} if key not in replicate.KEYS]
        if differing := [key for key in keys if a.get(key) != b.get(key)]:
            called = f"name={name}" if name else f"{run.folder.path.parent}"
            starts = [f"init={one.experiment.config.init}" for one in (other, run)]
            what = " and ".join(starts) if differing[0] == "init_sha256" else differing[0]
            raise UserError(
                f"{called} would be two variants, which differ in {what}; name each of them"
                + (", or none" if name else " with name=NAME, in a command of its own")
            )


def run_of(overrides: tuple[str, ...], study: Path | None) -> Run:
    """The run that the overrides of a `Run` ask for.

    Raises:
        UserError: they cannot be used.
    """
    one = experiment(overrides)
    sums = {one.config.sets: catalogue.checksums(one.config.sets)}
    return _run(overrides, one, None, study, sums)


def _run(
    overrides: tuple[str, ...],
    described: Experiment,
    seed: int | None,
    study: Path | None,
    checksums: Mapping[tuple[str, ...], dict[str, str]],
) -> Run:
    if seed is not None:
        described = described.seeded(seed)
        overrides = (*overrides, f"seed={seed}")
    described = with_start(described)
    check_name(described)
    return Run(overrides, described, checksums[described.config.sets], study)
