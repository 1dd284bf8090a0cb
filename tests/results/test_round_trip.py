"""Folders -> table -> folders; and what reads folders reads the same of a table."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from deepset_bench import cli
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.evaluation.results import place
from deepset_bench.files import resource
from deepset_bench.record import DATA, METRICS, RESULT, STATUS
from deepset_bench.results import epochs, exporting, stored
from deepset_bench.results.flattening import flattened, nested
from deepset_bench.runs import RunFolder, RunsFolder, run_folder
from deepset_bench.surroundings import STUDY
from deepset_bench.sweep.status import standing
from tests import toy
from tests.results.test_cells import VALUES
from tests.study.folders import write, write_unseen
from tests.study.shipped import GENERALISATION, REPORT, asked_for
from tests.test_cli import inside

ENDINGS = [
    ".csv",
    ".csv.gz",
    pytest.param(
        ".parquet",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("pyarrow") is None, reason="needs the extra parquet"
        ),
    ),
]
HEADING = "epoch,val_loss,val_energy_mae_ev,val_forces_mae_ev_per_angstrom,seconds\n"
CURVE = HEADING + "".join(f"{n},{1 / n},{0.3 / n},{2 / n / n},{n * 1.5}\n" for n in range(1, 6))
EVALUATION = {
    "run": ["a-0", "a-1"],
    "errors": [{"energy_mae_ev": 0.1, "forces_mae_ev_per_angstrom": 0.1 + 0.2}],
    "uncertainty": {
        f"{name}_{key}": 0.5
        for name in ("energy", "forces")
        for key in ("rank_correlation", "rmse_over_uncertainty")
    }
    | {
        "mean_energy_uncertainty_ev": 0.01,
        "mean_forces_uncertainty_ev_per_angstrom": float("nan"),
    },
}


def bench(*words: object) -> str:
    result = CliRunner().invoke(cli.app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def content(root: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path there."""
    paths = [path for path in root.rglob("*") if path.is_file()]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Done, diverged, failed, damaged; with and without epochs; and seeds as one."""
    root = tmp_path / "runs"
    for seed, energy in enumerate((0.02, 0.021)):
        for overrides in ((), ("scalars=all",)):
            for condition in ("report", "corrected"):
                folder = write(root, [*overrides, f"condition={condition}"], seed, energy)
                folder.write_status("done", "8e12345678901234")
                folder.metrics.write_text(CURVE)
    diverged = write(root, ["scalars=cub_sqrt"], 0, 0.1)
    diverged.write_result({"status": "diverged", "reason": '=HYPERLINK("x")\n\x1b[31m', "x": -0.0})
    diverged.metrics.write_text(HEADING + "1,nan,inf,1e-05,2\n")
    failed = write(root, ["gnn=sage"], 0, 0.1)
    (failed.path / RESULT).unlink()
    failed.write_status("failed", "12", "no memory")
    sweep = GENERALISATION.comparisons["generalisation_pent_2_ene"]
    run = sweep.runs[0]
    for seed in (0, 1):
        write_unseen(root, sweep, run.label, seed, 0.01)
        folder = run_folder_of(root, *run.overrides, f"seed={seed}")
        folder.write_status("done", f"a-{seed}")
    home = [folder.path.with_name(f"seed-{seed}") for seed in (0, 1)]
    target = place(home, "pent-2-ene-ood") / "evaluation.json"
    target.parent.mkdir(parents=True)
    target.write_text(json.dumps(EVALUATION, indent=2) + "\n")
    return root


def run_folder_of(root: Path, *overrides: str) -> RunFolder:
    from deepset_bench.config import experiment

    return run_folder(experiment([*overrides, f"runs_dir={root}"]))


def damage(root: Path) -> None:
    """Three runs that hold what is no YAML, no JSON, no number, no name and no UTF-8."""
    damaged = write(root, ["scalars=sq"], 0, 0.1)
    damaged.metrics.write_bytes(b"epo\xffch,a\n1,2\n")
    (damaged.path / RESULT).write_bytes(b'{"status": "done", \xff')
    damaged.config.write_text("seed: [\n")
    odd = write(root, ["scalars=sq_cub"], 0, 0.1, odd={"a": float("nan")})
    odd.metrics.write_text("epoch,what\n1,two\n2")
    other = write(root, ["scalars=sq_cub_tes"], 0, 0.1)
    other.write_result(other.result() | {"threads": "=1"})
    other.metrics.write_text("epoch x,a\n1,2\n")
    (other.path / STATUS).write_text("[]")


@pytest.mark.parametrize("ending", ENDINGS)
def test_folders_come_back_byte_for_byte(runs, tmp_path, ending):
    damage(runs)
    before = content(runs)
    file = tmp_path / f"table{ending}"
    said = bench("results", "export", file, "--runs-dir", runs)
    beside = tmp_path / f"table.curves{ending}"
    assert said == f"{file}: 15 runs, with their epochs in {beside}\n"
    shutil.move(runs, tmp_path / "elsewhere")
    said = bench("results", "import", file)
    assert said == f"{tmp_path / 'table'}: 15 runs, without checkpoints\n"
    assert content(tmp_path / "table") == before
    bench("results", "import", file, "--runs-dir", tmp_path / "other")
    assert content(tmp_path / "other") == before


def test_the_same_table_whenever_it_is_written(runs, tmp_path):
    for ending in (".csv", ".csv.gz"):
        files = [tmp_path / f"{name}{ending}" for name in "ab"]
        for file in files:
            bench("results", "export", file, "--runs-dir", runs)
        assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ["tables", "1", "generalisation_pent_2_ene", "--format", "markdown"],
        ["tables", "1", "--metric", "energy_rmse,parameters"],
        ["status"],
    ],
)
def test_commands_say_the_same_of_a_table(runs, tmp_path, words):
    damage(runs)
    file = tmp_path / "runs.csv"  # beside the folder, whose name it has
    bench("results", "export", file, "--runs-dir", runs)
    said = bench(*words, "--runs-dir", runs)
    assert bench(*words, "--results", file) == said
    assert said


@pytest.mark.parametrize("file", ["config.yaml", METRICS, STATUS, RESULT, "evaluation.json"])
def test_what_cannot_be_read_is_not_left_out(runs, tmp_path, monkeypatch, capsys, file):
    """A table that lacks a file of a run, without a word, would be taken for all that there is."""
    path = sorted(runs.rglob(file))[-1]
    path.unlink()
    path.mkdir()
    words = ("results", "export", str(tmp_path / "table.csv"), "--runs-dir", str(runs))
    status, _, said = inside(monkeypatch, capsys, *words)
    assert status in (1, 2)
    assert said.count("\n") == 1
    assert said.startswith(f"error: {path}")
    assert "Is a directory" in said
    assert not (tmp_path / "table.csv").exists()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_run_says_the_same_in_a_table(runs, tmp_path, ending):
    damage(runs)
    file = tmp_path / f"runs{ending}"
    bench("results", "export", file, "--runs-dir", runs)
    table, folders = stored.read(file), RunsFolder(runs)
    assert [run.path for run in table.every()] == [run.path for run in folders.every()]
    for one, other in zip(table.every(), folders.every(), strict=True):
        assert (one.status(), one.result()) == (other.status(), other.result())
        assert one.settings() == other.settings()
        assert one.epochs() == other.epochs()
        assert standing(one) == standing(other)


def test_figures_are_of_the_same_numbers(runs, tmp_path, monkeypatch):
    """All but those that need parameters, of which a table has none."""
    from deepset_bench.figures import offered
    from deepset_bench.study.collect import Where

    file = tmp_path / "runs.csv"
    bench("results", "export", file, "--runs-dir", runs)
    offer, conditions = offered.of_study(REPORT), list(REPORT.conditions)
    for name in ("7", "8", "learning", "effects"):
        (one,), (other,) = (
            offered.build(offer, Where((), place), conditions, names=[name])
            for place in (file, runs)
        )
        assert one.missing == other.missing
        assert one.runs == other.runs
        assert (one.draw is None) == (other.draw is None)
        if one.interactive and other.interactive:
            assert one.interactive().to_json() == other.interactive().to_json()
    write(runs, ["scalars=cub_sqrt"], 0, 0.1)
    bench("results", "export", file, "--runs-dir", runs)
    (parity,) = offered.build(offer, Where((), file), conditions, names=["parity"])
    what = f"x3 sqrt, corrected: {file} is a table, which has no parameters of runs"
    assert what in [gap for gap, _ in parity.missing]


def test_commands_that_need_parameters_say_so(runs, tmp_path):
    file = tmp_path / "t.csv"
    bench("results", "export", file, "--runs-dir", runs)
    for command in ("evaluate", "check"):
        result = CliRunner().invoke(cli.app, [command, "x", "--runs-dir", str(file)])
        assert str(result.exception) == (
            f"{file}: a table holds no trained parameters; name the folder of the runs"
        )


def test_a_table_in_other_programs(runs, tmp_path):
    """Numbers are numbers, and no text is a formula."""
    file = tmp_path / "t.csv"
    bench("results", "export", file, "--runs-dir", runs)
    frame = pd.read_csv(file, float_precision="round_trip")
    done = frame[frame["result.status"] == "done"]
    for _, row in done.iterrows():
        result = RunFolder(runs / row["folder"]).result()
        column = "result.metrics.test.energy_mae_ev"
        assert row[column] == result["metrics"]["test"]["energy_mae_ev"]
        assert row["config.seed"] == int(row["folder"][-1])
    with file.open(encoding="utf-8", newline="") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    assert not [cell for cell in cells if re.match(r"[=+@]|-(?!\d)", cell)]
    curves = pd.read_csv(tmp_path / "t.curves.csv", float_precision="round_trip")
    own = curves[curves.folder == frame.folder[0]]
    assert list(own.epoch) == [1, 2, 3, 4, 5]
    assert list(own.val_loss) == [1 / n for n in range(1, 6)]


def test_the_runs_of_a_sweep_alone(runs, tmp_path):
    file = tmp_path / "t.csv"
    assert "8 runs" in bench("results", "export", "table_1", file, "--runs-dir", runs)
    assert {run.path.parent.name for run in stored.read(file).every()} == {"baseline", "all"}
    said = bench("results", "export", "generalisation", file, "--runs-dir", runs)
    assert said == f"{file}: 2 runs\n"
    assert not epochs.beside(file).exists()  # that of the earlier export is gone
    for words in (["table_5"], ["table_1", "data.train_size=9"]):
        result = CliRunner().invoke(
            cli.app, ["results", "export", *words, str(file), "--runs-dir", str(runs)]
        )
        assert str(result.exception) == f"{runs}: holds no run of {' '.join(words)}"


def test_an_import_leaves_what_is_there(runs, tmp_path):
    file = tmp_path / "t.csv"
    bench("results", "export", file, "--runs-dir", runs)
    before = content(runs)
    missing, changed = sorted(name for name in before if name.endswith(RESULT))[:2]
    (runs / missing).unlink()
    said = bench("results", "import", file, "--runs-dir", runs)
    assert said.endswith(f"; {len(before) - 1} files were there already\n")
    assert content(runs) == before
    (runs / missing).unlink()
    (runs / changed).write_text("{}")
    with pytest.raises(UserError, match="is there and is another than in"):
        bench("results", "import", file, "--runs-dir", runs)
    assert not (runs / missing).exists()


def test_epochs_of_other_columns_share_a_table(tmp_path):
    root = tmp_path / "runs"
    texts = ["epoch,a,b\n1,0.5,2\n", "epoch,c,b\n1,1.5,2.0\n2,nan,-0.0\n", "b,epoch\n1,2\n"]
    for seed, text in enumerate(texts):
        write(root, [], seed, 0.1).metrics.write_text(text)
    records = RunsFolder(root)
    exporting.export(records, records.every(), tmp_path / "t.csv")
    back = [run.text(METRICS) for run in stored.read(tmp_path / "t.csv").every()]
    assert back == texts


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=3), st.integers(1, 3))
def test_what_is_nested_comes_back_or_is_kept_as_it_is(holds, depth):
    """Whatever the keys are; see `exporting`, which compares."""
    try:
        back = nested(flattened("result", holds).items())
    except ValueError:
        return
    awkward = any("." in key for key in keys(holds))
    assert awkward or repr(back) == repr(holds)


def keys(holds):
    """All of a mapping's, at any depth."""
    for key, member in holds.items():
        yield key
        if isinstance(member, dict):
            yield from keys(member)


def test_a_study_whose_frames_are_not_here_is_written(tmp_path, own_folders, monkeypatch):
    monkeypatch.setenv(STUDY, str(resource("sweeps") / "report_trajectory"))
    for name, sweep in (
        ("report-but-2-ene", "as_written"),
        ("report-but-2-ene-gfn1", "relabelled"),
    ):
        catalogue.register(name, toy.frames(3, 6), {})
        overrides = [*asked_for(sweep).runs[0].overrides, "condition=report"]
        folder = write(tmp_path / "runs", overrides, 0, 0.1)
        folder.write_result(folder.result() | {DATA: catalogue.checksums([name])})
    shutil.rmtree(own_folders / "data home")
    file = tmp_path / "table.csv"
    said = bench("results", "export", "report_trajectory", file, "--runs-dir", tmp_path / "runs")
    assert said.startswith(f"{file}: 2 runs")
