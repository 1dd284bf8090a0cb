"""Two versions of one data set: runs on them are told apart, and never averaged or paired."""

from __future__ import annotations

import csv
import io
import json

import pytest
import yaml

from deepset_bench.calculator import DeepSetCalculator
from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.record import DATA
from deepset_bench.runs import RunFolder, run_folder
from tests import toy
from tests.study.folders import write
from tests.test_cli import inside
from tests.training.tiny import asked

pytestmark = pytest.mark.usefixtures("tiny")
SHORT = "trainer.epochs=1"


def replace_data() -> None:
    catalogue.register("tiny", toy.frames(3, 60, seed=9, bias=0.5), {}, force=True)


@pytest.fixture
def bench(monkeypatch, capsys):
    """`bench ARGUMENTS`: exit status, standard output and error, each as one line of words."""

    def typed(*arguments: str) -> tuple[int, str, str]:
        status, out, err = inside(monkeypatch, capsys, *arguments)
        return status, " ".join(out.split()), " ".join(err.split())

    return typed


def folder_of(*overrides: str) -> RunFolder:
    return run_folder(experiment(asked(SHORT, *overrides)))


@pytest.fixture
def sheet(tmp_path) -> str:
    """A person's own sweep with a baseline, so that it is a table."""
    path = tmp_path / "mine.yaml"
    runs = [
        {"label": "plain", "overrides": []},
        {"label": "scalars", "overrides": ["scalars=cub_sqrt"]},
    ]
    common = [*asked(SHORT), "condition=corrected"]
    content = {"title": "Mine", "baseline": "plain", "common": common, "runs": runs}
    path.write_text(yaml.safe_dump(content))
    return str(path)


def test_the_result_names_the_version_of_every_set(bench):
    catalogue.register("other", toy.frames(3, 5, seed=1), {})
    assert bench("train", *asked(SHORT, "task.data=other"))[0] == 0
    found = folder_of("task.data=other").result()[DATA]
    assert found == {name: catalogue.checksum(name) for name in ("tiny", "other")}


def test_replaced_data_are_said_and_nothing_is_mixed(bench, sheet):
    for seed in ("seed=0", "seed=1"):
        assert bench("train", *asked(SHORT, seed))[0] == 0
    replace_data()
    for seed in ("seed=2", "seed=3"):
        assert bench("train", *asked(SHORT, seed))[0] == 0
    assert bench("train", *asked(SHORT, "seed=2", "scalars=cub_sqrt"))[0] == 0
    old, new = ([str(folder_of(f"seed={n}").path) for n in seeds] for seeds in ((0, 1), (2, 3)))

    status, out, err = bench("train", *asked(SHORT))
    assert (status, out) == (2, "")
    assert "the data of this run were replaced; --fresh trains again" in err
    status, out, _ = bench("sweep", *asked(SHORT), "--seeds", "3")
    assert status == 1
    assert out.count("the data of this run were replaced") == 4  # as it goes, and at the end
    assert "3 runs: 2 failed, 1 done" in out

    status, out, _ = bench("tables", sheet)
    assert "plain, seed 0, 1: another run (the data of this run were replaced)" in out
    status, _, err = bench("tables", sheet, "--format", "csv")
    assert err.count("the data of this run were replaced") == 1
    assert err.startswith("left out: plain, seed 0, 1: ")
    assert status == 0

    status, out, err = bench("evaluate", old[0], new[0])
    assert status == 2
    assert "different versions of tiny; name runs of one version" in err
    with pytest.raises(UserError, match="different versions of tiny"):
        DeepSetCalculator([old[0], new[0]], device="cpu")
    for pair in (old, new):
        assert bench("evaluate", *pair, "data=tiny")[0] == 0

    assert bench("train", *asked(SHORT), "--fresh")[0] == 0
    assert folder_of().result()[DATA] == {"tiny": catalogue.checksum("tiny")}


def test_a_table_counts_the_runs_on_the_data_as_they_are(sheet, monkeypatch, capsys):
    made = {n: write_run(n, 0.02 + n) for n in range(3)}
    content = made[2].result()
    made[2].write_result(content | {DATA: {"tiny": "0" * 64}})
    _, out, _ = inside(monkeypatch, capsys, "tables", sheet, "--format", "csv")
    (row,) = [
        row
        for row in csv.DictReader(io.StringIO(out))
        if (row["row"], row["part"]) == ("plain", "mean")
    ]
    assert row["n"] == "2"


def write_run(seed: int, energy: float) -> RunFolder:
    return write(folder_of().path.parents[3], asked(SHORT), seed, energy)


def test_a_run_of_an_earlier_version_is_known_by_its_identity(bench, sheet):
    """Its result.json holds no checksum: the identity tells that its data are as they were."""
    folder = write_run(0, 0.02)
    content = folder.result()
    del content[DATA]
    identity = experiment(asked(SHORT)).identity(catalogue.checksum("tiny"))
    folder.write_result(content | {"run": identity})
    assert "another run" not in bench("tables", sheet)[1]
    replace_data()
    assert "the data of this run were replaced" in bench("tables", sheet)[1]


def test_folders_of_earlier_versions_keep_their_long_names(bench, sheet):
    """Their runs are found, shown and gone on with, and later seeds lie beside them."""
    lines = asked(SHORT)
    made = experiment(lines)
    short = run_folder(made)
    assert len(short.path.parent.name.encode()) == 80 < len(made.variant)
    assert bench("train", *lines)[0] == 0
    result = short.result()
    short.path.parent.rename(short.path.parents[1] / made.variant)
    long = run_folder(made)
    assert long.path.parent.name == made.variant
    _, out, _ = bench("train", *lines)
    assert "already done" in out
    (long.path / "result.json").unlink()
    long.write_status("running", result["run"])
    assert bench("train", *lines)[0] == 0
    assert long.result()["metrics"] == result["metrics"]
    assert bench("sweep", *lines, "--seeds", "2")[0] == 0
    assert not short.path.exists()
    assert {path.name for path in long.path.parent.iterdir()} == {"seed-0", "seed-1"}
    out = bench("status")[1]
    assert f"{made.variant}/seed-1 " in out
    assert "2 runs: 2 done" in out
    _, out, _ = bench("tables", sheet, "--format", "csv")
    assert f"{long.path.parent}," in out


def test_runs_that_claims_leave_out_are_said(bench, tmp_path):
    folder = write(tmp_path, ["condition=corrected", "scalars=cub_sqrt"], 0, 0.02)
    folder.write_result(folder.result() | {DATA: {"but-2-ene": "0" * 64}})
    wanted = ("claims", "--condition", "corrected", "--runs-dir", str(tmp_path))
    _, out, _ = bench("tables", *wanted)
    assert "left out: x3 sqrt, corrected, seed 0: another run (the data of this run" in out
    assert "no seed with both runs" in out


def test_committed_runs_are_of_the_data_as_they_are(bench):
    """They hold no checksum; see `docs/results.csv`."""
    status, out, _ = bench("tables", "1", "--results", "docs/results.csv")
    assert status == 0
    assert "the data of this run were replaced" not in out


def test_nobody_resumes_on_other_labels(bench):
    """Whatever is deleted: the checkpoint says what its parameters were trained on."""
    assert bench("train", *asked(SHORT))[0] == 0
    folder = folder_of()
    replace_data()
    for name in ("status.json", "result.json", "config.yaml", "metrics.csv", "split.npz"):
        (folder.path / name).unlink()
        before = {p.name: p.read_bytes() for p in folder.path.iterdir()}
        status, _, err = bench("train", *asked(SHORT))
        assert status == 2
        assert "holds another run: " in err
        assert {p.name: p.read_bytes() for p in folder.path.iterdir()} == before
    assert bench("train", *asked(SHORT), "--fresh")[0] == 0
    assert json.loads((folder.path / "result.json").read_text())["status"] == "done"
