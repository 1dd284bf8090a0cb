"""The table of generalisation from run folders to text."""

from __future__ import annotations

import io
import json
import shlex
from dataclasses import replace

import pandas as pd
import pytest
from typer.testing import CliRunner

from deepset_bench import cli
from deepset_bench.config import experiment
from deepset_bench.evaluation.results import place
from deepset_bench.files import write_text
from deepset_bench.runs import RunFolder, run_folder
from deepset_bench.study import generalisation
from deepset_bench.study.collect import Where
from deepset_bench.study.layout import Page
from deepset_bench.units import HARTREE, HARTREE_PER_BOHR
from tests.study.folders import write_unseen
from tests.study.shipped import GENERALISATION

SWEEPS = {sweep.name: sweep for sweep in GENERALISATION.unseen}
BOTH = ["corrected", "report"]
TASKS, REPORT = SWEEPS["generalisation_tasks"], SWEEPS["generalisation_report"]


def shown(root) -> Page:
    return generalisation.page(GENERALISATION, ["corrected"], "hartree", Where((), root))


@pytest.fixture
def runs(tmp_path):
    for seed in (0, 1):
        write_unseen(tmp_path, TASKS, TASKS.runs[0].label, seed, 0.010)
    write_unseen(tmp_path, TASKS, TASKS.runs[1].label, 0, None)
    return tmp_path


def bench(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, ["tables", *arguments], env={"COLUMNS": "100"})
    assert result.exit_code == 0, result.exception
    return result.stdout


def test_a_row(runs):
    built = shown(runs)
    block = next(block for block in built.blocks if block.heading.startswith(TASKS.title))
    rows = {row[0].plain: [cell.plain for cell in row[1:]] for row in block.rows}
    first, second = (rows[run.label] for run in TASKS.runs[:2])
    # n, then of test energy, relative, forces; of ood also seen and unseen shells.
    # What the test frames score here, predicting the mean and zero does, too.
    assert first[:4] == ["2", "0.00100 ±0.00000‡", "0.00050 ±0.00000‡", "0.00200 ±0.00000‡"]
    assert generalisation.NO_BETTER_NOTE in built.notes
    assert first[4] == "0.01000 ±0.00000"
    assert first[5] == "0.00350 ±0.00635"  # t(1) = 12.7 times 0.0005
    assert first[7:] == ["0.00400 ±0.00000", "0.00800 ±0.00000"]
    assert second[:4] == ["1", "0.00100‡", "0.00050‡", "0.00200‡"]
    assert second[4:] == ["—", "0.00300", "0.00400", "0.00400", "0.00800"]
    assert rows["mean of these"][5] == "0.00325"
    assert rows["mean energy, zero force"][4:7] == ["0.03300", "0.00440", "0.01500"]


def test_a_task_counts_once_however_many_seeds_it_has(runs):
    folder = run_folder(experiment([*TASKS.runs[1].overrides, f"runs_dir={runs}"])).path
    result = json.loads((folder / "result.json").read_text())
    result["baselines"]["ood"]["relative_energy_mae_ev"] = 0.0084 * HARTREE
    (folder / "result.json").write_text(json.dumps(result))
    built = shown(runs)
    block = next(block for block in built.blocks if block.heading.startswith(TASKS.title))
    assert block.rows[-1][6].plain == "0.00640"  # of 0.0044, two seeds, and 0.0084, one


def test_seeds_as_one(runs):
    """What bench evaluate left; the command that makes it where it did not, or of other runs."""
    run = TASKS.runs[0]
    folders = [
        RunFolder(run_folder(experiment([*run.overrides, f"runs_dir={runs}", f"seed={n}"])).path)
        for n in (0, 1)
    ]
    for folder in folders:
        folder.write_status("done", f"id-{folder.path.name}")
    target = place([folder.path for folder in folders], "pent-2-ene-ood") / "evaluation.json"

    def found() -> tuple[list[str] | None, dict[str, str]]:
        built = shown(runs)
        blocks = [b for b in built.blocks if "seeds as one" in b.heading]
        # The run is in two sweeps; the second row has one seed.
        assert [b.heading.partition(":")[0] for b in blocks] == [REPORT.title, TASKS.title]
        assert [len(b.rows) for b in blocks] == [1, 1]
        return [cell.plain for cell in blocks[1].rows[0]], dict(built.missing)

    name = f"{run.label}: its seeds as one"
    cells, missing = found()
    assert cells == [run.label, "2", *["—"] * 8]
    assert shlex.split(missing[name])[2:] == [*(str(f.path) for f in folders), "part=ood"]
    content = {
        "run": ["id-seed-0", "id-seed-1"],
        "errors": [{"energy_mae_ev": 0.01 * HARTREE, "forces_mae_ev_per_angstrom": 0.1}],
        "uncertainty": {
            "mean_energy_uncertainty_ev": 0.005 * HARTREE,
            "mean_forces_uncertainty_ev_per_angstrom": 0.002 * HARTREE_PER_BOHR,
            "energy_rank_correlation": None,
            "energy_rmse_over_uncertainty": 2.5,
            "forces_rank_correlation": 0.75,
            "forces_rmse_over_uncertainty": 1.0,
        },
    }
    write_text(target, json.dumps(content))
    cells, missing = found()
    assert name not in missing
    assert cells[2:6] == ["0.01000", "0.00500", "—", "2.50"]
    assert cells[7:] == ["0.00200", "0.75", "1.00"]
    write_text(target, json.dumps({**content, "run": ["id-seed-0", "other"]}))
    assert name in found()[1]


def test_conditions_are_told_apart(tmp_path):
    """In headings, in what is missing and in CSV, where a comparison is shown under several."""
    open_to_any = [
        replace(row, overrides=tuple(o for o in row.overrides if not o.startswith("condition=")))
        for row in TASKS.runs
    ]
    tasks = replace(TASKS, common=(), runs=tuple(open_to_any))
    study, where = replace(GENERALISATION, unseen=(tasks,)), Where((), tmp_path)
    for condition, energy in zip(BOTH, (0.010, 0.020), strict=True):
        for seed in (0, 1):
            label, lines = tasks.runs[0].label, [f"condition={condition}"]
            write_unseen(tmp_path, tasks, label, seed, energy, lines)
    built = generalisation.page(study, BOTH, "hartree", where)
    headings = [block.heading.partition(":")[0] for block in built.blocks]
    assert headings == [f"{TASKS.title}, {name}" for name in BOTH for _ in ("errors", "as one")]
    gaps = [what for what, _ in built.missing if "seeds as one" in what]
    assert gaps == [f"{tasks.runs[0].label}, {name}: its seeds as one" for name in BOTH]
    frame = generalisation.rows(study, BOTH, where)
    energies = frame.groupby("condition")["ood energy"].mean() / HARTREE
    assert energies.to_dict() == pytest.approx({"corrected": 0.010, "report": 0.020})


def test_levers_are_compared_on_one_task(tmp_path):
    assert not generalisation.page(
        GENERALISATION, ["corrected"], "hartree", Where((), tmp_path)
    ).blocks
    for sweep in SWEEPS.values():
        write_unseen(tmp_path, sweep, sweep.runs[0].label, 0, 0.010)
    built = shown(tmp_path)
    assert len(built.blocks) == len(SWEEPS)
    for block in built.blocks:
        labels = [row[0].plain for row in block.rows]
        one_task = any(words in block.heading for words in ("helps", ": more", "variants"))
        assert ("mean of these" in labels) != one_task


def test_every_gap_has_a_command(runs):
    missing = shown(runs).missing
    commands = [shlex.split(command) for _, command in missing]
    assert {words[1] for words in commands} == {"sweep", "evaluate"}
    gap = "9 of 12 runs, corrected: not run"
    assert shlex.split(dict(missing)[gap])[2] == "sweeps/generalisation_tasks.yaml"
    write_unseen(runs, TASKS, TASKS.runs[1].label, 1, None)
    assert gap not in dict(shown(runs).missing)


@pytest.mark.parametrize("sweep", SWEEPS.values(), ids=lambda sweep: sweep.name)
def test_rows_are_distinct_runs_with_something_to_generalise_to(sweep):
    wanted = [experiment(run.overrides) for run in sweep.runs]
    assert len({run_folder(one).path for one in wanted}) == len(wanted)
    assert all(one.config.task.has_ood for one in wanted)


def test_formats(runs):
    text = bench("generalisation", "--runs-dir", str(runs))
    assert "bench sweep sweeps/generalisation_levers.yaml" in text
    assert "0.01000" in text
    assert "| ood: unseen |" in bench(
        "generalisation", "--runs-dir", str(runs), "--format", "markdown"
    )
    frame = pd.read_csv(
        io.StringIO(bench("generalisation", "--runs-dir", str(runs), "--format", "csv"))
    )
    # The run with two seeds is in two sweeps.
    assert frame.groupby("sweep").size().to_dict() == {REPORT.name: 2, TASKS.name: 3}
    assert frame["ood energy"][0] == pytest.approx(0.010 * HARTREE)
    assert frame["ood energy"].isna().sum() == 1
