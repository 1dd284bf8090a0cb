"""Run folders -> frame: means, pairs, printed values, what is missing and what fills it."""

from __future__ import annotations

import math
import shlex
import shutil

import numpy as np
import pytest

from deepset_bench import surroundings
from deepset_bench.config import experiment
from deepset_bench.errors import UserError
from deepset_bench.study.collect import Where
from deepset_bench.study.columns import judged_on
from deepset_bench.study.statistics import estimate, p_value
from deepset_bench.study.tables import Table, build
from deepset_bench.sweep.comparisons import of_axes
from deepset_bench.units import HARTREE, HARTREE_PER_BOHR
from tests.study.folders import write
from tests.study.shipped import PRINTED, asked_for

TABLE = asked_for("1")
NONE, ALL = {0: 0.020, 1: 0.021, 2: 0.022}, {1: 0.015, 2: 0.017, 3: 0.013}


def table(root, conditions=("report",), overrides=()) -> Table:
    return build(TABLE, conditions, Where(tuple(overrides), root), (), PRINTED)


def cell(built: Table, row: str, part: str = "mean", condition: str = "report"):
    frame = built.frame
    chosen = (frame.row == row) & (frame.part == part) & (frame.condition == condition)
    (found,) = frame[chosen].to_dict("records")
    return found


@pytest.fixture
def runs(tmp_path):
    for seed, energy in NONE.items():
        write(tmp_path, ["condition=report"], seed, energy)
    for seed, energy in ALL.items():
        write(tmp_path, ["condition=report", "scalars=all"], seed, energy)
    return tmp_path


def test_mean_over_seeds_and_paired_change_over_shared_ones(runs):
    found = cell(table(runs), "All scalars")
    mean = estimate([energy * HARTREE for energy in ALL.values()])
    assert (found["n"], found["energy_n_shared"]) == (3, 2)
    assert found["energy_mean"] == pytest.approx(mean.mean)
    assert found["energy_half"] == pytest.approx(mean.half)
    logs = [math.log(ALL[s] / NONE[s]) for s in (1, 2)]
    change = estimate(logs)
    for key, end in (("change", change.mean), ("change_low", change.low)):
        assert found[f"energy_{key}"] == pytest.approx(math.exp(end) - 1)
    assert found["energy_change_high"] == pytest.approx(math.exp(change.high) - 1)
    assert found["energy_p"] == pytest.approx(p_value(logs))
    assert any("over 2 of its 3 seeds" in note for note in table(runs).notes)


def test_parts_and_printed_values(runs):
    built = table(runs)
    assert cell(built, "No scalars", "test")["energy_mean"] == pytest.approx(1.1 * 0.021 * HARTREE)
    printed = {
        part: cell(built, "No scalars", part)["forces_printed"] / HARTREE_PER_BOHR
        for part in ("test", "val", "mean")
    }
    assert printed == pytest.approx({"test": 0.028074, "val": 0.028076, "mean": 0.028075})
    assert math.isnan(cell(built, "No scalars")["energy_change"])


def test_trivial_row_and_floor(runs):
    built = table(runs)
    assert cell(built, "trivial")["energy_mean"] == pytest.approx(0.0204 * HARTREE)
    assert cell(built, "trivial")["n"] == 3
    assert cell(built, "floor")["forces_mean"] == pytest.approx(0.0232 * HARTREE_PER_BOHR)
    assert built.frame[built.frame.row == "floor"].part.unique().tolist() == ["mean"]


def test_runs_with_a_task_are_judged_on_what_it_asks_about(tmp_path):
    """An absolute energy may be undetermined there; one run without a task leaves no such part."""

    def errors(energy: float | None, forces: float) -> dict:
        return {"energy_mae_ev": energy, "forces_mae_ev_per_angstrom": forces}

    parts = {"test": errors(1.0, 2.0), "val": errors(1.0, 2.0), "held_out": errors(3.0, 4.0)}
    with_ood = {**parts, "ood": errors(None, 6.0)}
    for scalars in ("none", "all"):
        lines = ["condition=report", f"scalars={scalars}"]
        write(tmp_path, lines, 0, 0.02, metrics=with_ood, baselines=with_ood)
    built = table(tmp_path)
    assert judged_on(built.runs) == "ood"
    assert cell(built, "All scalars", "ood")["forces_mean"] == 6.0
    assert math.isnan(cell(built, "All scalars", "ood")["energy_mean"])
    write(tmp_path, ["condition=report"], 1, 0.02, metrics=parts, baselines=parts)
    assert judged_on(table(tmp_path).runs) == "held_out"


def test_no_floor_where_it_is_unknown(tmp_path):
    write(tmp_path, ["condition=report"], 0, 0.02, label_floor_ev_per_angstrom=None)
    assert "floor" not in set(table(tmp_path).frame.row)


def test_defects_are_marked(runs):
    write(runs, [], 0, 0.001)
    built = table(runs, ["report", "corrected"])
    assert cell(built, "No scalars")["defect"]
    assert not cell(built, "No scalars", condition="corrected")["defect"]
    assert "† report: the labels hold a bias." in built.notes


def test_commands_fill_what_is_missing(runs):
    """Each names a seed and composes to the folder that was looked for."""
    built = table(runs)
    assert dict(built.missing) == {
        "All scalars, report, seed 0: not run": f"bench train scalars=all condition=report "
        f"runs_dir={runs} seed=0",
        "No scalars, report, seed 3: not run": f"bench train condition=report "
        f"runs_dir={runs} seed=3",
    }
    words = shlex.split(built.missing[0][1])
    wanted = experiment(words[2:])
    write(runs, ["condition=report", "scalars=all"], wanted.config.seed, 0.015)
    assert len(table(runs).missing) == 1


def test_a_variant_that_cannot_take_the_overrides_stops_no_other(tmp_path):
    """One expert has no top five; all of them failing is a mistake of the person's."""
    lines = ["gating.experts=2", "condition=corrected"]
    write(tmp_path, lines, 0, 0.02)
    built = build(asked_for("moe"), ["corrected"], Where(("gating.experts=2",), tmp_path))
    assert cell(built, "dense", condition="corrected")["n"] == 1
    lines = [what for what, command in built.missing if not command]
    assert len(lines) == 2
    assert lines[0].startswith("top-k, corrected: impossible (gating.top_k=5 exceeds")
    with pytest.raises(UserError, match="gnn"):
        build(asked_for("moe"), ["corrected"], Where(("gnn=none3",), tmp_path))


def test_a_network_that_is_not_installed_is_one_line_without_a_command(tmp_path, monkeypatch):
    """What was trained elsewhere is shown all the same."""
    monkeypatch.setattr(surroundings, "is_installed", lambda name: False)
    sweep = of_axes(["model=deepset,painn,mace"])
    write(tmp_path, ["model=painn"], 0, 0.02)
    built = build(sweep, [""], Where((), tmp_path))
    assert cell(built, "model=painn", condition="")["n"] == 1
    gap, command = built.missing[-1]
    assert gap == "model=mace: not installed (pip install 'deepset-bench[peers]')"
    assert command == ""


def test_many_gaps_are_one_command(tmp_path):
    write(tmp_path, ["condition=report"], 0, 0.02)
    built = build(asked_for("2"), ["report"], Where((), tmp_path))
    ((what, command),) = built.missing
    assert what == "6 of 7 runs, report: not run"
    start = "bench sweep sweeps/table_2.yaml condition=report"
    assert command == f"{start} runs_dir={tmp_path} seed=0"


def test_seeds_of_a_row_that_others_share_are_not_asked_of_all(tmp_path):
    """Nor those under one condition of another; one without runs is to have the other's."""
    rows = {run.label: list(run.overrides) for run in asked_for("2").runs}
    for label, lines in rows.items():
        for seed in range(5 if label == "No scalars" else 2):
            write(tmp_path, [*lines, "condition=report"], seed, 0.02)
    for seed in range(3):
        write(tmp_path, [*rows["No scalars"], "condition=corrected"], seed, 0.02)
    assert not build(asked_for("2"), ["report"], Where((), tmp_path)).missing
    built = build(asked_for("2"), ["report", "corrected"], Where((), tmp_path))
    assert cell(built, "No scalars")["n"] == 5
    ((what, command),) = built.missing
    assert what == "18 of 21 runs, corrected: not run"
    assert command.endswith(f"condition=corrected runs_dir={tmp_path} seed=0,1,2")
    for run in tmp_path.glob("**/corrected/*/*"):
        shutil.rmtree(run)
    built = build(asked_for("2"), ["report", "corrected"], Where((), tmp_path))
    ((what, command),) = built.missing
    assert what == "corrected: not run"
    assert command.endswith("seed=0,1")


def test_nothing_run_is_one_command(tmp_path):
    built = table(tmp_path / "a b", ["report", "corrected"])
    ((what, command),) = built.missing
    assert what == "report and corrected: not run"
    words = shlex.split(command)
    assert words[:4] == ["bench", "sweep", "sweeps/table_1.yaml", "condition=report,corrected"]
    # Quoted for the shell and for Hydra.
    assert experiment([words[4]]).config.runs_dir == str(tmp_path / "a b")
    assert words[5:] == ["--seeds", "3"]
    assert cell(built, "No scalars")["n"] == 0
    assert np.isnan(cell(built, "No scalars")["energy_mean"])


def test_failed_and_diverged_runs_do_not_count_and_say_why(runs):
    write(
        runs,
        ["condition=report"],
        2,
        0.02,
        status="diverged",
        reason="loss of epoch 3",
        metrics=None,
    )
    failed = write(runs, ["condition=report"], 1, 0.02)
    (failed.path / "result.json").unlink()
    failed.write_status("failed", "x", "RuntimeError: out of memory")
    built = table(runs)
    assert cell(built, "No scalars")["n"] == 1
    missing = dict(built.missing)
    assert missing["No scalars, report, seed 1: failed (RuntimeError: out of memory)"]
    diverged = missing["No scalars, report, seed 2: diverged (loss of epoch 3)"]
    assert diverged.endswith("seed=2 --fresh")


def test_a_run_of_another_configuration_does_not_count(runs):
    """Its folder has the name, but the default that it was run with has changed since."""
    folder = write(runs, ["condition=report"], 0, 0.001)
    text = folder.config.read_text()
    folder.config.write_text(text.replace("batch_size: 20", "batch_size: 10"))
    built = table(runs)
    assert cell(built, "No scalars")["n"] == 2
    assert "another run (trainer.batch_size was 10, is now 20)" in built.missing[1][0]


def test_a_key_that_the_runs_version_lacked_is_no_conflict(runs):
    folder = write(runs, ["condition=report"], 0, 0.02)
    folder.config.write_text(folder.config.read_text().replace("envelope: none\n", ""))
    assert cell(table(runs), "No scalars")["n"] == 3


def test_config_and_result_are_enough(runs):
    files = {path.name for path in runs.rglob("*") if path.is_file()}
    assert files == {"config.yaml", "result.json"}
    assert cell(table(runs), "All scalars")["n"] == 3


def test_overrides_lead_to_other_runs(runs):
    write(runs, ["condition=report", "trainer.epochs=7"], 5, 0.03)
    built = table(runs, overrides=["trainer.epochs=7"])
    assert cell(built, "No scalars")["energy_mean"] == pytest.approx(0.03 * HARTREE)


def test_other_data_have_no_printed_values(tmp_path):
    write(tmp_path, ["condition=report", "data=pent-2-ene"], 0, 0.02)
    found = cell(table(tmp_path, overrides=["data=pent-2-ene"]), "No scalars")
    assert found["n"] == 1
    assert math.isnan(found["energy_printed"])


def test_a_sweep_of_one_condition_keeps_it(tmp_path):
    built = build(asked_for("flaws"), ["report", "corrected"], Where((), tmp_path))
    assert built.conditions == ["report"]


def test_labels_that_differ_within_a_table_are_named(tmp_path):
    flaws = asked_for("flaws")
    write(tmp_path, flaws.runs[0].overrides, 0, 0.02)
    other = {"energy_mae_ev": 0.5, "forces_mae_ev_per_angstrom": 0.6}
    baselines = dict.fromkeys(("test", "val", "all"), other)
    write(tmp_path, flaws.runs[1].overrides, 0, 0.02, baselines=baselines)
    built = build(flaws, [], Where((), tmp_path))
    assert any(n.startswith("unbiased forces: evaluated on other labels") for n in built.notes)
    for run in flaws.runs[2:]:
        write(tmp_path, run.overrides, 0, 0.02, baselines=baselines)
    built = build(flaws, [], Where((), tmp_path))
    assert any(n.startswith("5 rows: evaluated on other labels") for n in built.notes)


@pytest.mark.parametrize("text", ["seed=3", "condition=report", "+runs_dir=x"])
def test_overrides_that_tables_set_themselves(text):
    with pytest.raises(UserError, match="tables and figures take"):
        Where((text,))


def test_a_result_without_its_numbers_is_one_line_and_no_number(runs):
    write(runs, ["condition=report"], 0, 0.02, metrics=None)
    built = table(runs)
    assert cell(built, "No scalars")["n"] == 2
    what = "No scalars, report, seed 0: damaged (result.json is damaged (metrics is None))"
    assert any(text.startswith(what) for text, _ in built.missing)
