"""A metric of a person's own: a few lines in one file, and a column of the tables."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from deepset_bench import definition, registry
from deepset_bench.config import experiment
from deepset_bench.evaluation.trained import load_trained
from deepset_bench.runs import RunFolder, run_folder
from deepset_bench.scoring.table import metrics
from tests.test_cli import inside
from tests.test_own_variants import forget
from tests.training.tiny import asked, untimed

SHORT = ("trainer.epochs=1",)
OWN = """from deepset_bench.variants import metric


@metric("worst", unit="eV/angstrom", digits=3)
def worst(predictions, labels, run):
    \"\"\"The largest error of a component of a force.\"\"\"
    return abs(predictions.forces - labels.forces).max()


@metric("share", less_is_better=False)
def share(predictions, labels, run):
    return {"all": (abs(predictions.energy - labels.energy) < 1).mean(), "many": run.parameters}
"""


@pytest.fixture(autouse=True)
def nothing_known(tiny, monkeypatch):
    monkeypatch.setenv(registry.ENVIRONMENT, "")  # which commands set, and is undone
    forget()
    yield
    forget()


@pytest.fixture
def own(tmp_path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


@pytest.fixture
def bench(monkeypatch, capsys):
    """A command of its own: nothing is known of what earlier ones were told."""

    def typed(*arguments: object) -> str:
        monkeypatch.setenv(registry.ENVIRONMENT, "")
        forget()
        code, out, err = inside(monkeypatch, capsys, *map(str, arguments))
        assert code == 0, err
        return out

    return typed


@pytest.fixture
def sheet(tmp_path) -> str:
    path = tmp_path / "mine.yaml"
    rows = [("plain", []), ("cubes", ["scalars=sq"])]
    runs = [{"label": label, "overrides": overrides} for label, overrides in rows]
    common = [*asked(*SHORT), "condition=corrected"]
    content = {"title": "Mine", "baseline": "plain", "common": common, "runs": runs}
    path.write_text(yaml.safe_dump(content))
    return str(path)


def folder(*overrides: str) -> RunFolder:
    return run_folder(experiment(asked(*SHORT, "condition=corrected", *overrides)))


def test_a_column_of_the_tables(bench, own, sheet):
    words = [*asked(*SHORT, "condition=corrected"), "--variants", own]
    said = bench("train", *words)
    assert "worst" in said
    assert "share / all" not in said  # a family is not a number
    result = folder().result()
    assert result["metric_sources"].keys() == {"metric worst", "metric share"}
    assert (folder().variants / "own.py").read_text() == OWN
    for table in ("metrics", "baselines"):
        for part in ("test", "val"):
            assert result[table][part]["worst_ev_per_angstrom"] > 0
            assert 0 <= result[table][part]["share"]["all"] <= 1
    assert result["metrics"]["test"]["share"]["many"] == result["parameters"]
    assert result["baselines"]["test"]["share"]["many"] == 0

    bench("train", *asked(*SHORT, "condition=corrected", "scalars=sq"))  # without it
    told = bench("tables", sheet, "--variants", own, "--metric", "worst,share", "--part", "test")
    assert "worst in eV/angstrom, test frames" in told
    assert "share: all, test frames (more is better)" in told
    assert "worst: The largest error of a component of a force." in told
    value = result["metrics"]["test"]["worst_ev_per_angstrom"]
    trivial = result["baselines"]["test"]["worst_ev_per_angstrom"]
    rows = {
        line.split()[0]: line.split()
        for line in told.split("share: all")[0].splitlines()[4:]
        if line.strip()
    }
    assert rows["plain"][1:] == [f"{value:.3f}", "1", "baseline"]
    assert rows["cubes"][1:] == ["—", "0", "—"]
    assert f"{trivial:.3f}" in told
    assert "cubes, seed 0 lack: worst, share" in " ".join(told.split())
    command = next(line for line in told.splitlines() if line.startswith("  bench evaluate "))

    before = folder("scalars=sq").result()
    assert "kept in" in bench(*command.split()[1:])
    after = folder("scalars=sq").result()
    assert after["metrics"]["val"]["worst_ev_per_angstrom"] > 0
    assert after["baselines"]["test"]["worst_ev_per_angstrom"] == pytest.approx(trivial)
    assert {**after["metrics"]["test"], **before["metrics"]["test"]} == after["metrics"]["test"]
    told = bench("tables", sheet, "--variants", own, "--metric", "worst", "--format", "csv")
    frame = pd.read_csv(io.StringIO(told)).set_index(["row", "part"])
    assert frame.loc[("cubes", "test"), "worst_mean / (eV/angstrom)"] == pytest.approx(
        after["metrics"]["test"]["worst_ev_per_angstrom"]
    )
    assert "lack" not in told


def test_measured_later_is_measured_at_once(bench, own):
    """To the last digit; what another version of the file said counts for nothing."""
    words = asked(*SHORT, "condition=corrected")
    bench("train", *words, "--variants", own)
    at_once = folder().result()
    bench("train", *words, "--fresh")
    assert "worst_ev_per_angstrom" not in folder().result()["metrics"]["test"]
    bench("evaluate", folder().path, "--metric", "worst", "--metric", "share", "--variants", own)
    assert untimed(folder().result()) == untimed(at_once)


def test_a_changed_file_is_another_metric(bench, own, sheet):
    bench("train", *asked(*SHORT, "condition=corrected"), "--variants", own)
    own.write_text(OWN.replace(".max()", ".min()"))
    told = bench("tables", sheet, "--variants", own, "--metric", "worst")
    assert "no run has: worst" in told


def test_a_metric_that_fails_ends_no_run(bench, own, monkeypatch, capsys):
    """Before training it is a mistake in one line, after it a number that is missing."""
    words = [*asked(*SHORT, "condition=corrected"), "--variants", str(own)]
    own.write_text(OWN.replace("return abs", "1 / 0\n    return abs"))
    code, _, err = inside(monkeypatch, capsys, "train", *words)
    assert code == 2
    assert err == f"error: {own}, line 7: metric worst fails: ZeroDivisionError: division by zero\n"
    own.write_text(OWN.replace("return abs", "1 / (run.parameters == 0)\n    return abs"))
    said = bench("train", *words)
    assert "metric worst fails: ZeroDivisionError" in said
    result = folder().result()
    assert result["status"] == "done"
    assert result["metrics"]["test"]["worst_ev_per_angstrom"] is None
    assert result["baselines"]["test"]["worst_ev_per_angstrom"] > 0
    assert "metric worst fails" in folder().log.read_text()


def test_every_command_reads_a_mix(bench, own, sheet, tmp_path):
    """One run has more metrics than the product knows, one those of the first version alone."""
    bench("train", *asked(*SHORT, "condition=corrected"), "--variants", own)
    bench("train", *asked(*SHORT, "condition=corrected", "scalars=sq"))
    old = folder("scalars=sq")
    result = old.result()
    for table in ("metrics", "baselines"):
        for part in ("test", "val"):
            kept = ("energy_mae_ev", "forces_mae_ev_per_angstrom")
            result[table][part] = {key: result[table][part][key] for key in kept}
    del result["metric_sources"]
    old.write_result(result)
    told = bench("tables", sheet)
    assert "energy MAE in Ha" in told
    assert " lack: " not in told
    told = bench("tables", sheet, "--metric", "energy_rmse,parameters,forces_mae_by_element")
    assert "cubes, seed 0 lack: energy_rmse, forces_mae_by_element" in " ".join(told.split())
    for element in ("C", "H"):
        assert f"forces MAE by element: {element} in Ha/bohr" in told
    for style in ("markdown", "latex", "csv"):
        assert "parameters" in bench("tables", sheet, "--metric", "parameters", "--format", style)
    bench("status")
    told = bench("evaluate", folder().path, "--variants", own)
    assert "share: all (more is better)" in told
    assert "worst / (eV/angstrom) (" not in told
    bench("evaluate", old.path)
    bench("evaluate", old.path, "--metric", "energy_rmse")
    assert old.result()["metrics"]["test"]["energy_rmse_ev"] > 0


LATER = """from deepset_bench.variants import metric


@metric("spread", unit="eV", of="potential")
def spread(predictions, labels, run):
    \"\"\"The energy of the first test frame.\"\"\"
    from ase import Atoms

    from deepset_bench.calculator import DeepSetCalculator

    first = labels.frames.select([0])
    potential = DeepSetCalculator(run.folder, device=run.config.device)
    return Atoms(first.numbers, first.positions, calculator=potential).get_potential_energy()
"""


def test_of_the_potential_only_when_it_is_asked_for(bench, own, sheet, monkeypatch):
    """A person's and the product's, which are asked for in one command."""
    from deepset_bench.calculator import DeepSetCalculator
    from deepset_bench.evaluation import dynamics

    monkeypatch.setattr(dynamics, "STEPS", 20)
    own.write_text(LATER)
    bench("train", *asked(*SHORT, "condition=corrected"), "--variants", own)
    before = folder().result()
    assert not {"spread_ev", "force_jump_ev_per_angstrom", "measured_on"} & before.keys()
    assert "metric spread" not in before["metric_sources"]
    told = bench("tables", sheet, "--metric", "spread,nve_drift", "--variants", own)
    command = next(line for line in told.splitlines() if line.startswith("  bench evaluate "))
    assert command.endswith(f"--metric spread,nve_drift --variants {own}")
    folder().best.rename(folder().path / "aside")
    told = " ".join(bench("tables", sheet, "--metric", "spread", "--variants", own).split())
    assert f"--fresh --variants {own} && bench evaluate " in told  # it is of what is trained
    (folder().path / "aside").rename(folder().best)
    told = bench(*command.split()[1:])
    after = folder().result()
    assert "NVE drift: " in told
    (test,) = [
        dynamics.moving(
            load_trained(folder().path, "cpu").history.frames.select(
                np.load(folder().split)["test"]
            ),
            DeepSetCalculator(folder().path, device="cpu"),
        )
    ]
    assert after["spread_ev"] == pytest.approx(test.get_potential_energy())
    assert after["nve_drift_ev_per_atom_per_ps"] >= 0
    assert after["measured_on"].keys() == {"spread_ev", "nve_drift_ev_per_atom_per_ps"}
    assert after["measured_on"]["spread_ev"].keys() == {"machine", "device", "threads"}
    assert {**after, **before, "metric_sources": after["metric_sources"]} == after
    assert "spread: The energy of the first" in bench(
        "tables", sheet, "--metric", "spread,nve_drift", "--variants", own
    )


def test_commands_name_the_files_that_runs_need(bench, own, sheet):
    """Those that a person named, of which a run is made; not those that it can do without."""
    own.write_text(
        f"{OWN}\n\nfrom deepset_bench.variants import scalar\n\n\n@scalar('cubed')\n"
        "def cubed(d):\n    return d ** 3\n"
    )
    content = yaml.safe_load(Path(sheet).read_text())
    content["runs"][1]["overrides"] = ["scalars=cubed"]
    Path(sheet).write_text(yaml.safe_dump(content))
    told = bench("tables", sheet, "--variants", own)
    (whole,) = (line for line in told.splitlines() if line.startswith("  bench sweep "))
    assert whole.endswith(f"--seeds 3 --variants {own}")
    bench("train", *asked(*SHORT, "condition=corrected"), "--variants", own)
    told = bench("tables", sheet, "--variants", own)
    (one,) = (line for line in told.splitlines() if line.startswith("  bench train "))
    assert one.endswith(f"seed=0 --variants {own}")
    content["runs"][1]["overrides"] = ["scalars=sq"]
    Path(sheet).write_text(yaml.safe_dump(content))
    assert "--variants" not in bench("tables", sheet, "--variants", own)


def test_a_metric_is_one_file(tmp_path, monkeypatch):
    """A file in the folder of the product's own is all that there is to one."""
    place = tmp_path / "deepset_bench"
    for room in registry._ROOMS:
        (place / room).mkdir(parents=True)
    (place / "scoring" / "size.py").write_text(
        Path(registry.PACKAGE / "scoring" / "size.py").read_text()
    )
    monkeypatch.setattr(registry, "PACKAGE", place)
    monkeypatch.setattr(definition, "PACKAGE", place)
    forget()
    assert [one.name for one in metrics()] == ["parameters"]
    (place / "scoring" / "another.py").write_text(OWN)
    forget()
    found = {one.name: one for one in metrics()}
    assert list(found) == ["worst", "share", "parameters"]
    assert found["worst"].variant.ours
    assert found["worst"].variant.module == "deepset_bench.scoring.another"
    assert found["worst"].shown("mev") == (1.0, "eV/angstrom", 3)
