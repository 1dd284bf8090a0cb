"""Runs from their configurations to result.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch

from deepset_bench import registry, stamps
from deepset_bench.config import Experiment
from deepset_bench.data import catalogue
from deepset_bench.data.splits import Split
from deepset_bench.denormals import start_threads
from deepset_bench.errors import UserError
from deepset_bench.files import tidy
from deepset_bench.model.build import width_of
from deepset_bench.model.labelled import LabelledFrames, LabelledTables
from deepset_bench.record import DATA, METRIC_SOURCES
from deepset_bench.runs import RunFolder, check_name, run_folder, with_start
from deepset_bench.scoring.table import metrics
from deepset_bench.stamps import REGISTERED, STARTED, Stamp
from deepset_bench.surroundings import versions
from deepset_bench.training import checkpoint, computing
from deepset_bench.training.compiled import is_compiled, of_fixed_sizes, untested
from deepset_bench.training.loop import Epoch, Member, epochs_behind, fit
from deepset_bench.training.measuring import measured
from deepset_bench.training.more_epochs import begin_where_shorter_ended
from deepset_bench.training.records import Recorder
from deepset_bench.training.setup import Setup, prepare
from deepset_bench.training.stacked import StackedOptimisation
from deepset_bench.training.start import own_start, seen_before, start_of
from deepset_bench.training.step import Optimisation, SingleOptimisation

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """What `train` returns: the folder, its result and whether it had been done before."""

    folder: RunFolder
    result: dict[str, Any]
    already_done: bool


def train(
    experiments: Sequence[Experiment],
    *,
    fresh: bool = False,
    registered: Sequence[Stamp] = (),
    on_start: Callable[[RunFolder, Setup], None] = lambda *_: None,
    on_epoch: Callable[[RunFolder, Epoch], None] = lambda *_: None,
    on_note: Callable[[RunFolder, str], None] = lambda *_: None,
) -> list[Outcome]:
    """Train runs, go on with those that were interrupted, return what is done.

    Several experiments are to differ in the seed alone; they are trained stacked, as one model,
    where the variant allows it and they stand at the same epoch, else one after another.

    Args:
        experiments: what to train.
        fresh: forget earlier runs in the same folders.
        registered: stamps for runs that start now; one that a sweep has queued has its own.
        on_start: called once a run is ready.
        on_epoch: called after each of its epochs.
        on_note: called with each line that the run has to say; log.txt holds them, too.

    Raises:
        Busy: another process is training one of them.
        UserError: the configuration or the data cannot be used, or another run occupies a folder.
    """
    outcomes: dict[int, Outcome] = {}
    with ExitStack() as stack:
        held: list[tuple[int, Experiment, dict[str, str], RunFolder]] = []
        waiting: list[tuple[int, Member, Experiment, Mapping[str, str], Recorder]] = []
        for number, experiment in enumerate(map(with_start, experiments)):
            check_name(experiment)
            folder = run_folder(experiment)
            checksums = catalogue.checksums(experiment.config.sets)
            done = not fresh and _is_done(folder, experiment, checksums)  # it may be read only
            if not done:
                stack.enter_context(folder.lock())
                done = not fresh and _is_done(folder, experiment, checksums)
            if done:
                outcomes[number] = Outcome(folder, folder.result(), already_done=True)
            else:
                held.append((number, experiment, checksums, folder))
        checkpoint.settle([folder.last for *_, folder in held])
        for number, experiment, checksums, folder in held:
            say = _both(folder, folder.say, on_note)
            member = _start(experiment, checksums, folder, registered, fresh=fresh, say=say)
            on_start(folder, member.setup)
            recorder = stack.enter_context(Recorder(folder, experiment, member.epochs_done, say))
            member.on_epoch = _both(folder, recorder.epoch, on_epoch)
            waiting.append((number, member, experiment, checksums, recorder))
        for group in _groups([member for _, member, *_ in waiting]):
            _fit(group)
        for number, member, experiment, trained_on, recorder in waiting:
            result = _finish(member, experiment, trained_on)
            recorder.result(result)
            outcomes[number] = Outcome(member.folder, result, already_done=False)
    return [outcomes[number] for number in range(len(experiments))]


def _both(
    folder: RunFolder, record: Callable[[T], None], tell: Callable[[RunFolder, T], None]
) -> Callable[[T], None]:
    def each(news: T) -> None:
        record(news)
        tell(folder, news)

    return each


def _identity(experiment: Experiment, checksums: Mapping[str, str]) -> str:
    return experiment.identity("+".join(checksums.values()))


def _is_done(folder: RunFolder, experiment: Experiment, checksums: Mapping[str, str]) -> bool:
    if newer := folder.newer():
        raise UserError(newer)
    if folder.occupant() not in ("", _identity(experiment, checksums)):
        raise UserError(folder.occupied(experiment, checksums))
    return folder.has_ended()


def _start(
    experiment: Experiment,
    checksums: Mapping[str, str],
    folder: RunFolder,
    registered: Sequence[Stamp],
    *,
    fresh: bool,
    say: Callable[[str], None],
) -> Member:
    """Prepare a run and write down what is about to happen."""
    config, identity = experiment.config, _identity(experiment, checksums)
    # Whatever the other records are or say: these parameters were trained on something.
    saved, begun = None, ""
    if not folder.last.exists() and not fresh:
        begun = begin_where_shorter_ended(experiment, checksums, folder)
    if folder.last.exists() and not fresh:
        saved = checkpoint.load_last(folder.last, torch.device("cpu"))
        if saved["run"] != identity:
            raise UserError(folder.occupied(experiment, checksums))
    computed = computing.earlier(saved)
    if computed:  # as before, where nothing else is asked for
        before = computed[-1]
        compiled = before["compile"] if config.compile == "auto" else config.compile
        threads = config.threads or before["threads"]
        config = replace(config, threads=threads, compile=compiled)
    computing.begin(config.threads)
    start = None
    if config.init is not None:
        start = own_start(folder, saved) if saved else start_of(config)
    setup = prepare(config, start)
    if catalogue.checksums(config.sets) != checksums:  # which the run is to be known by
        raise UserError(
            f"{' and '.join(config.sets)}: the data were replaced while the run was prepared; give "
            "the same command again"
        )
    if saved is not None and _divided_otherwise(folder, setup.split):
        raise UserError(
            f"{folder.path}: was begun by an earlier version, which drew other frames to train on; "
            "bench train ... --fresh trains the run again"
        )
    if config.form != setup.potential.form and len(config.network.traits["forms"]) > 1:
        config = replace(config, form=setup.potential.form)
        reason = setup.potential.model.no_fused_form
        say(f"trained in the reference form, edge by edge and slower: {reason}")
    member = Member(setup, config, folder, identity, lambda _: None, say=say, computed=computed)
    if saved is not None:  # what counts is when it started
        member.registered, member.started = stamps.carried(saved)
    elif fresh and (known := folder.result()).get("run") == identity:  # anew, but no news
        member.registered, member.started = stamps.carried(known)
    else:
        queued = [] if fresh else folder.status().get(REGISTERED, [])
        member.registered, member.started = list(registered) or queued, stamps.now()
    if fresh:  # not before: what cannot be trained leaves what is there
        folder.clear()
    tidy(folder.path)
    folder.write_config(experiment)
    folder.write_status("running", identity)
    setup.split.save(folder.split)
    for line in (f"data {config.data.name}: {setup.verdict.verdict}", *setup.verdict.findings):
        folder.say(line)
    elements, rank = len(setup.reference.species), setup.reference.rank
    if config.reference.kind == "composition" and rank < elements:
        folder.say(
            f"energy reference: training compositions of rank {rank} for {elements} elements; "
            "it is identified for combinations of these compositions alone"
        )
    if "ood" in setup.scorers and (note := setup.scorers["ood"].note):
        folder.say(note)
    if config.width_budget is not None:
        folder.say(f"width {width_of(config)}, by the parameters of the baseline of {config.width}")
    for note in setup.notes:
        say(note)
    if start is not None and saved is None:
        say(start.words)
        if note := seen_before(config, checksums, setup.split):
            say(note)
    if begun:
        say(begun)
    if saved is not None:
        member.epochs_done = saved["epochs"]
        member.diverged = str(saved.get("diverged", ""))
    if saved is not None and not begun:
        say(f"going on after epoch {member.epochs_done}")
    return member


def _divided_otherwise(folder: RunFolder, now: Split) -> bool:
    """Whether a run was trained on other frames; not where nothing readable says on which."""
    try:
        before = Split.load(folder.split)
    except UserError:
        return False
    return not np.array_equal(before.train, now.train)


def _groups(members: list[Member]) -> list[list[Member]]:
    """Members that can be trained as one: all of them, or each by itself."""
    if len(members) < 2:
        return [members] if members else []
    config = members[0].config
    obstacle = of_fixed_sizes(config) or untested()
    if config.every_second:
        obstacle = "the halved edge list depends on everything in a batch"
    parts = [member.setup.parts[name] for member in members for name in ("train", "val")]
    if any(isinstance(part, LabelledFrames) for part in parts):
        obstacle = "tables of a set this large are made for each batch"
    if len({shape for part in parts for shape in part.counts}) > 1:
        obstacle = "frames of many sizes are computed in parts that differ from run to run"
    if len(set(map(_likeness, members))) > 1:
        obstacle = "their parts differ in the number of frames, in elements or in cells"
    if any(one.epochs_done < epochs_behind(members) and not one.diverged for one in members):
        obstacle = "the runs were interrupted at different epochs"
    if not obstacle:
        return [members]
    for member in members:
        member.say(f"not stacked: {obstacle}")
    return [[member] for member in members]


def _likeness(member: Member) -> tuple[object, ...]:
    """What stacked runs share: a split by molecules draws parts of other sizes for each seed."""
    parts = [member.setup.parts[name] for name in ("train", "val")]
    open_ = [isinstance(p, LabelledTables) and p.tables.tables[0].shifts is None for p in parts]
    return *map(len, parts), *open_, *member.setup.reference.species.tolist()


def _fit(members: list[Member]) -> None:
    first = members[0]
    config = first.config
    compile_steps = is_compiled(config, first.say)
    if config.threads is not None:  # of several runs, each may have its own
        torch.set_num_threads(config.threads)
        start_threads()

    def say(line: str) -> None:
        for member in members:
            member.say(line)

    def note_way(*, compiled: bool) -> None:
        for member in members:
            _note_way(member, compiled=compiled, stack=len(members))

    def on_eager() -> None:
        note_way(compiled=False)

    optimisation: Optimisation
    if len(members) > 1:
        optimisation = StackedOptimisation(
            [member.setup for member in members],
            [member.config for member in members],
            compile_steps=compile_steps,
            say=say,
            on_eager=on_eager,
        )
    else:
        optimisation = SingleOptimisation(
            first.setup, config, compile_steps=compile_steps, say=say, on_eager=on_eager
        )
    note_way(compiled=compile_steps)
    try:
        fit(members, optimisation)
    except Exception as error:
        with suppress(OSError):  # the disk may be what failed
            for member in members:
                if member.folder.is_kept():
                    member.folder.write_failure(member.identity, error)
        raise


def _note_way(member: Member, *, compiled: bool, stack: int) -> None:
    """Add to how a run was computed how it is from here on, and say it where that is new."""
    if member.diverged or member.epochs_done == member.config.trainer.epochs:
        return
    now = computing.way(
        member.config, member.setup.device, member.epochs_done + 1, compiled=compiled, stack=stack
    )
    if member.computed and member.computed[-1]["from_epoch"] == now["from_epoch"]:
        member.computed.pop()  # no epoch was: compiling failed
    if member.computed:
        new = computing.changed(member.computed[-1], now)
        if not new:
            return
        member.say(
            f"from epoch {now['from_epoch']} on computed with {new}: other rounding, which "
            "training amplifies, so its numbers are not those of an uninterrupted run"
        )
    member.computed.append(now)


def _finish(member: Member, experiment: Experiment, checksums: Mapping[str, str]) -> dict[str, Any]:
    """Measure the best checkpoint and write result.json."""
    setup, folder = member.setup, member.folder
    folder.check_kept()
    state = "diverged" if member.diverged else "done"
    judged: dict[str, Any] = {"metrics": None}
    baselines = setup.baselines
    of_frames: dict[str, Any] = {}
    if not member.diverged:
        best = checkpoint.load_best(folder.best, torch.device("cpu"))  # its reference is in float64
        try:
            setup.potential.load_state_dict(best["potential"])
        except RuntimeError:
            best["run"] = ""
        if best["run"] != member.identity:
            raise UserError(
                f"{folder.best}: is of another run than {folder.last.name}; "
                "bench train ... --fresh trains the run again"
            )
        table = [one for one in metrics() if not one.on_demand]
        steps = member.epochs_done * member.config.trainer.steps_an_epoch(setup.n_train)
        scores = measured(setup, member.config, table, round(member.share, 3) / steps, member.say)
        baselines = scores.baselines
        if scores.frames is not None:
            scores.frames.save(folder.held_out)
            of_frames = {"frame_errors": {"held_out": scores.frames.uncertainty()}}
        judged = {
            **scores.result,
            METRIC_SOURCES: registry.sources([one.variant for one in table]),
            "best_epoch": best["epochs"],
        }
    result = {
        "status": state,
        "reason": member.diverged,
        **judged,
        "baselines": baselines,
        **of_frames,
        "label_floor_ev_per_angstrom": setup.label_floor,
        DATA: dict(checksums),
        "data_verdict": asdict(setup.verdict),
        "parameters": sum(p.numel() for p in setup.potential.parameters()),
        "width": width_of(member.config),
        "epochs": member.epochs_done,
        "wall_seconds": round(member.share, 3),
        "stack": member.computed[-1]["stack"] if member.computed else 1,
        "device": setup.device.type,
        "threads": torch.get_num_threads(),
        "computed": member.computed,
        "machine": computing.machine(),
        "versions": versions(member.config.network.traits["packages"]),
        "run": member.identity,
        "variant": experiment.variant,
        STARTED: member.started,
        **({REGISTERED: member.registered} if member.registered else {}),
    }
    folder.write_result(result)
    folder.write_status(state, member.identity, member.diverged)
    folder.say(f"{state}{': ' if member.diverged else ''}{member.diverged}")
    return result
