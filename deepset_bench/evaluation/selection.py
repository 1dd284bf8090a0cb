"""Which frames trained runs are evaluated on, and which of these they have seen before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.data.splits import split
from deepset_bench.data.tasks import divide
from deepset_bench.errors import UserError
from deepset_bench.evaluation.trained import History, Trained
from deepset_bench.molecules.frames import Frames, IntArray
from deepset_bench.molecules.selected import part
from deepset_bench.runs import RunFolder
from deepset_bench.schema import Task
from deepset_bench.scoring.unseen import unidentified

_DIGITS = 5
"""Geometries that agree to so many decimals, in angstrom, are one."""


@dataclass(frozen=True)
class Selection:
    """Frames to evaluate on.

    Attributes:
        name: of the folder for the results.
        title: for people.
        data: name of the set.
        frames: M of them.
        seen: (M,) `train` or `val` where any run, or one whose weights it started from, had the
            same geometry in that part, else `held out`; `unknown` where nobody can tell.
        identified: (M,) whether the runs' energy reference says anything about absolute energies.
        notes: what a reader has to know, one line each.
    """

    name: str
    title: str
    data: str
    frames: Frames
    seen: NDArray[np.str_]
    identified: NDArray[np.bool_]
    notes: list[str]


def select(
    folders: Sequence[RunFolder], members: Sequence[Trained], overrides: Sequence[str]
) -> Selection:
    """Choose frames and compare them with what the runs have seen.

    Args:
        folders: of the runs.
        members: what they have learned.
        overrides: none: the test frames of the runs that none of them was trained or selected on.
            `data=NAME` alone: every frame of that set. `part=held_out` alone: the held-out frames
            of the runs, likewise. `part=ood` alone: the out-of-distribution frames of their task.
            Anything else of `data.` or `seed=`: the test part of that division.

    Raises:
        UserError: an override or a set that cannot be used; no override, and the run's own test
            frames are not known or not left.
    """
    histories = [member.history for member in members]
    data = members[0].config.data
    if list(overrides) == ["part=held_out"]:
        name, title, data_name = f"{data.name}-held_out", f"{data.name}, held-out frames", data.name
        frames = _own(folders, histories, "held_out")
    elif any(text.lstrip("+").startswith("part=") for text in overrides):
        name, title, data_name, frames = _out_of_distribution(members[0], overrides)
    elif overrides:
        name, title, data_name, frames = _as_asked(members[0], overrides)
    else:
        name, title, data_name = f"{data.name}-test", f"{data.name}, test frames", data.name
        frames = _own(folders, histories, "test")
    seen = _seen(frames, [past for member in members for past in member.pasts])
    known = np.all([member.domain.identified(frames) for member in members], axis=0)
    begun = any(member.config.init is not None for member in members)
    notes = [
        _overlap(seen, len(folders), begun),
        unidentified(frames, known),
        _electrons(frames, members),
    ]
    notes = [note for note in notes if note]
    return Selection(name, title, data_name, frames, seen, known, notes)


def _as_asked(member: Trained, overrides: Sequence[str]) -> tuple[str, str, str, Frames]:
    """Name, title, data set and frames."""
    asked = {text.lstrip("+").split("=", 1)[0]: text for text in overrides}
    lines = dict(asked)
    if "data" not in asked:
        own = member.config.data
        like_run = {f"data.{key}": value for key, value in vars(own).items() if key != "name"}
        if "seed" in asked or own.split_seed is None:
            del like_run["data.split_seed"]  # the seed draws it
        like_run |= {"data": own.name, "seed": member.config.seed}
        lines = {key: f"{key}={value}" for key, value in like_run.items()} | asked
    config = experiment(list(lines.values())).config
    data = config.data
    if list(asked) == ["data"]:
        return data.name, f"{data.name}, every frame", data.name, catalogue.load(data.name)
    whole = divide(data.name, member.config.task if "data" not in asked else Task())
    frames, sizes = whole.frames, (data.train_size, data.val_size, data.test_size)
    division = split(frames, data.split, *sizes, config.drawing_seed, whole.pool)
    seed = config.drawing_seed
    name = f"{data.name}-{data.split}-{len(division.test)}-seed-{seed}"
    title = f"{data.name}, test part of split={data.split} with seed {seed}"
    return name, title, data.name, frames.select(whole.pool[division.test])


def _out_of_distribution(member: Trained, overrides: Sequence[str]) -> tuple[str, str, str, Frames]:
    """Name, title, data set and frames."""
    data, task = member.config.data.name, member.config.task
    if list(overrides) != ["part=ood"]:
        raise UserError(f"{' '.join(overrides)}: part= is ood or held_out, without other overrides")
    if not task.has_ood:
        raise UserError("part=ood: the run was trained without a task=, so it has no such frames")
    division = divide(data, task)
    name = task.data or data
    frames = division.other.select(division.ood)
    return f"{name}-ood", f"{name}, out-of-distribution frames", name, frames


def _own(folders: Sequence[RunFolder], histories: Sequence[History | None], name: str) -> Frames:
    """The frames of a part of any of the runs that none of them has learned or chosen by."""
    words = name.replace("_", "-")
    for folder, past in zip(folders, histories, strict=True):
        if past is None:
            raise UserError(
                f"{folder.path}: its data or this program have changed since it was trained, so "
                f"its {words} frames are not known; name a set with data=NAME"
            )
        if not len(getattr(past.split, name)):
            raise UserError(
                f"{folder.path}: has no {words} frames; it was trained by an earlier version, or "
                "with data.held_out_size=0"
            )
    known = [past for past in histories if past is not None]
    used = np.concatenate([np.concatenate([past.split.train, past.split.val]) for past in known])
    own = [getattr(past.split, name) for past in known]
    rows: IntArray = own[0] if len(own) == 1 else np.unique(np.concatenate(own))
    rows = rows[~np.isin(rows, used)]
    if not len(rows):
        raise UserError(
            f"{folders[0].path}: every {words} frame was used to train one of the runs; name a set "
            "with data=NAME"
        )
    return known[0].frames.select(rows)


def _seen(frames: Frames, histories: Sequence[History | None]) -> NDArray[np.str_]:
    if any(past is None for past in histories):
        return np.full(len(frames), "unknown")
    train: set[int] = set()
    val: set[int] = set()
    for past in histories:
        assert past is not None
        for seen, rows in ((train, past.split.train), (val, past.split.val)):
            for piece in part(past.frames, rows).pieces():
                seen.update(_keys(piece))
    keys = _keys(frames)
    parts = ["train" if key in train else "val" if key in val else "held out" for key in keys]
    return np.array(parts)


def _keys(frames: Frames) -> list[int]:
    """What tells one geometry from another, in 64 bits: elements, positions, and a cell's vectors.

    Atoms of a crystal may stay where they are while it is strained.
    """
    lengths = (frames.positions, frames.cell * frames.pbc[..., None])
    positions, cells = (np.round(values, _DIGITS) + 0.0 for values in lengths)  # -0 is 0
    written = (
        frames.numbers[a:b].tobytes() + positions[a:b].tobytes() + cell.tobytes()
        for (a, b), cell in zip(pairwise(frames.offsets), cells, strict=True)
    )
    return list(map(hash, written))


def _electrons(frames: Frames, members: Sequence[Trained]) -> str:
    """Which charges and spins none of the runs has seen, a line; empty for none."""
    charges = {charge for member in members for charge in member.domain.charges}
    spins = {spin for member in members for spin in member.domain.multiplicities}
    found = [f"charge {q:+d}" for q in np.unique(frames.charge) if q not in charges]
    if spins:
        others = (s for s in np.unique(frames.multiplicity) if s not in spins)
        found += [f"spin multiplicity {s}" for s in others]
    if not found:
        return ""
    return (
        f"frames of {' and '.join(found)}: not in training, and the potential cannot tell one "
        "charge or spin from another"
    )


def _overlap(seen: NDArray[np.str_], n_runs: int, begun: bool) -> str:
    """Of frames that runs have seen; `begun` from the weights of others."""
    whose = "the run" if n_runs == 1 else "at least one of the runs"
    if (seen == "unknown").any():
        why = "the data or program changed" + ", or a run that it started from did" * begun
        return f"which frames {whose} was trained on is not known: {why}"
    whose += " or of one that it started from (init=)" * begun
    counts = {part: int((seen == part).sum()) for part in ("train", "val")}
    percent = 100 * counts["train"] / len(seen)
    return (
        f"{counts['train']} of {len(seen)} frames ({percent:.0f} %) are training frames of "
        f"{whose}, {counts['val']} are validation frames"
    )
