"""Uncertainty over frames in the note below a table, from run folders and without them."""

from __future__ import annotations

import numpy as np

from deepset_bench.record import ENERGY_MAE, FORCES_MAE
from deepset_bench.runs import RunFolder
from deepset_bench.scoring.frame_errors import FrameErrors
from deepset_bench.study.collect import Where
from deepset_bench.study.sections import page
from deepset_bench.study.tables import build
from deepset_bench.sweep.comparisons import of_axes
from tests.study.folders import write

FRAMES = 400
TYPED = ["width=8,16"]


def folder(root, width: int, seed: int) -> RunFolder:
    """A run whose held-out frames are worth 8 % of the energies' error, 4 % of the forces'."""
    held_out = {ENERGY_MAE: 0.1, FORCES_MAE: 0.2}
    keep = {"frame_errors": {"held_out": {"frames": FRAMES, "block": 5,
            ENERGY_MAE: 0.008, FORCES_MAE: 0.008}}}  # fmt: skip
    run = write(root, [f"width={width}"], seed, 0.02, **keep)
    result = run.result()
    result["metrics"]["held_out"] = held_out
    run.write_result(result)
    return run


def note(root) -> str:
    return next(one for one in notes(root) if one.startswith("held_out:"))


def notes(root, *parts: str) -> list[str]:
    table = build(of_axes(TYPED), [""], Where((), root))
    return page(table, "hartree", parts or [table.part]).notes


def test_a_run_says_its_own(tmp_path):
    for width in (8, 16):
        folder(tmp_path, width, 0)
    assert note(tmp_path) == (
        "held_out: all frames that are neither for training nor for validation (400). With "
        "others in their place, an error would differ by 8 % for energies and 4 % for forces "
        "(standard errors). Seeds do not show this part: they share most of these frames."
    )


def test_what_is_hard_for_both_is_no_difference(tmp_path):
    """Errors that are in one ratio in every frame differ by it without any uncertainty."""
    rng = np.random.default_rng(0)
    hard = rng.exponential(0.1, FRAMES).astype(np.float32)
    number = np.arange(FRAMES)
    for width, times in ((8, 1.0), (16, 0.5)):
        run = folder(tmp_path, width, 0)
        atoms = np.full(FRAMES, 4, dtype=np.int32)
        molecule = np.zeros(FRAMES, dtype=np.int32)
        FrameErrors(number, molecule, number, atoms, times * hard, times * hard).save(run.held_out)
    said = note(tmp_path).partition("a change, frame by frame, by ")[2]
    energy = float(said.split(" %")[0])
    assert energy < 1e-4  # of float32


def test_runs_that_do_not_say_it_are_no_mistake(tmp_path):
    for width in (8, 16):
        run = folder(tmp_path, width, 0)
        run.write_result({k: v for k, v in run.result().items() if k != "frame_errors"})
    assert note(tmp_path) == (
        "held_out: all frames that are neither for training nor for validation. Seeds do not show "
        "this part: they share most of these frames."
    )
    run.write_result(
        {
            **run.result(),
            "metrics": {k: v for k, v in run.result()["metrics"].items() if k != "held_out"},
        }
    )
    lack = "1 of 2 runs not scored on all held-out frames, so that errors are not of these."
    assert lack in notes(tmp_path)
    assert lack not in notes(tmp_path, "test")


def test_of_frames_that_are_not_shown_nothing_is_said(tmp_path):
    for width in (8, 16):
        folder(tmp_path, width, 0)
    assert any(one.startswith("held_out:") for one in notes(tmp_path, "test", "held_out"))
    assert not any(one.startswith("held_out:") for one in notes(tmp_path, "test"))
