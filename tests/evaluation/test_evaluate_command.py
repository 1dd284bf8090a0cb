"""`bench evaluate` from outside."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from deepset_bench import cli
from deepset_bench.data import catalogue
from deepset_bench.molecules.frames import Frames
from deepset_bench.units import HARTREE
from tests import toy
from tests.training.tiny import SCHNET, run


def bench(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and error of `bench evaluate`."""
    monkeypatch.setattr(sys, "argv", ["bench", "evaluate", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    output = capsys.readouterr()
    return int(ended.value.code or 0), output.out, output.err


@pytest.fixture
def folder(tiny):
    return run().folder


def read(folder, name):
    return json.loads((folder / f"{name}.json").read_text())


def test_own_test_frames(monkeypatch, capsys, folder):
    status, out, err = bench(monkeypatch, capsys, folder.path)
    assert (status, err) == (0, "")
    target = folder.path / "evaluation" / "tiny-test"
    assert str(target) in out.replace("\n", "")
    found = read(target, "evaluation")
    measured = folder.result()["metrics"]["test"]
    errors = found["errors"][0]
    both = errors.keys() & measured.keys()
    assert len(both) == 4
    for key in both:  # float32, in batches of another size
        assert errors[key] == pytest.approx(measured[key], rel=1e-4)
    assert f"{errors['energy_mae_ev'] / HARTREE:.5f}" in out
    for key, value in measured.items():
        assert found["metrics"][key]["value"] == pytest.approx(value, rel=1e-4)
    assert "energy 95th percentile / Ha" in out
    assert "forces MAE by element: C" in out
    assert found["training_fraction"] == 0
    assert found["run"] == [folder.status()["run"]]
    assert found["sum_of_atomic_energies_error_ev"] < 1e-4

    series = pd.read_csv(target / "time_series.csv")
    atoms = pd.read_csv(target / "atomic_energies.csv")
    sums = atoms.groupby("step")["energy_ev"].sum()
    np.testing.assert_allclose(sums, series["predicted_energy_ev"], rtol=1e-12)
    assert series["energy_error_ev"].abs().mean() == pytest.approx(errors["energy_mae_ev"])
    assert "only the molecular sum is a label" in out.replace("\n", " ")
    assert "step 5" in out  # of seven; 15 and 40 are not there
    assert "step 15" not in out


def test_the_time_of_frames_is_in_the_datasheet_of_a_generated_set(
    monkeypatch, capsys, tiny, folder
):
    sampling = {"interval_fs": catalogue.datasheet("but-2-ene")["sampling"]["interval_fs"]}
    catalogue.register("timed", tiny, {"sampling": sampling})
    for name, there in (("timed", True), ("tiny", False)):
        bench(monkeypatch, capsys, folder.path, f"data={name}")
        series = pd.read_csv(folder.path / "evaluation" / name / "time_series.csv")
        assert ("time_fs" in series) == there
        if there:
            np.testing.assert_allclose(series["time_fs"], 20.0 * series["frame"])


@pytest.mark.usefixtures("two_molecules")
def test_other_data(monkeypatch, capsys, folder):
    status, out, _ = bench(monkeypatch, capsys, folder.path, "data=two", "--unit", "mev")
    assert status == 0
    assert "0 of 60 frames (0 %) are training frames" in out
    assert "energy / meV" in out
    target = folder.path / "evaluation" / "two"
    rows = {row["of"]: row for row in read(target, "evaluation")["errors"]}
    assert set(rows) == {"all", "c2h4", "c3h6"}
    assert len(pd.read_csv(target / "time_series.csv")) == 60


def test_energies_alone_are_scored(monkeypatch, capsys, folder):
    """Errors of forces are those of the frames that have any, and none where no frame has."""
    whole = catalogue.load("tiny").select(slice(0, 6))
    forces = whole.forces.copy()
    forces[whole.atoms_in(np.array([1, 4]))] = np.nan
    some, none = replace(whole, forces=forces), replace(whole, forces=np.full_like(forces, np.nan))
    there = whole.select(np.flatnonzero(some.has_forces))
    for name, frames in (("some", some), ("none", none), ("there", there)):
        catalogue.register(name, frames, {"method": "GFN1-xTB"})
        status, out, err = bench(monkeypatch, capsys, folder.path, f"data={name}")
        assert (status, err) == (0, "")
    assert "2 of 6 frames have no forces" not in out
    found = {
        name: read(folder.path / "evaluation" / name, "evaluation")
        for name in ("some", "none", "there")
    }
    of_forces = [key for key in found["some"]["errors"][0] if "forces" in key]
    for key in of_forces:
        mine, other = (found[name]["errors"][0][key] for name in ("some", "there"))
        assert mine == pytest.approx(other, rel=1e-5)
        assert found["none"]["errors"][0][key] is None
    assert found["none"]["metrics"]["forces_rmse_ev_per_angstrom"]["value"] is None
    for name in ("some", "none"):
        assert found[name]["errors"][0]["frames_scored"] == 6
    assert any("2 of 6 frames have no forces" in note for note in found["some"]["notes"])
    rows = pd.read_csv(folder.path / "evaluation" / "some" / "time_series.csv")
    assert rows["worst_atom"].isna().tolist() == [False, True, False, False, True, False]


def test_many_molecules_are_not_all_printed(monkeypatch, capsys, folder):
    parts = [replace(toy.frames(n, 7), molecule=np.full(7, f"m{n}")) for n in range(2, 8)]
    catalogue.register("many", Frames.concatenate(parts), {})
    _, out, _ = bench(monkeypatch, capsys, folder.path, "data=many")
    assert "atomic energies of m5" in out
    assert "atomic energies of m6" not in out
    assert "4 of 6 molecules; the files have them all" in out
    target = folder.path / "evaluation" / "many"
    for name in ("atomic_energies", "neighbours"):
        assert pd.read_csv(target / f"{name}.csv")["molecule"].nunique() == 6


def test_training_frames_are_visible(monkeypatch, capsys, folder):
    _, out, _ = bench(monkeypatch, capsys, folder.path, "data=tiny")
    assert "20 of 60 frames (33 %) are training frames of the run" in out
    assert "in train" in out


@pytest.mark.usefixtures("tiny")
def test_several_seeds(monkeypatch, capsys):
    folders = [run(f"seed={seed}").folder for seed in range(3)]
    status, out, _ = bench(monkeypatch, capsys, *(f.path for f in folders), "data=tiny")
    assert status == 0
    assert "at least one of the runs" in out
    target = folders[0].path.parent / "seeds-0-1-2" / "evaluation" / "tiny"
    series = pd.read_csv(target / "time_series.csv")
    assert (series["energy_uncertainty_ev"] > 0).all()
    assert read(target, "evaluation")["uncertainty"]["mean_energy_uncertainty_ev"] > 0
    assert "uncertainty" in out
    assert not (folders[0].path / "evaluation").exists()


@pytest.mark.usefixtures("tiny")
def test_biased_labels_are_said_to_be(monkeypatch, capsys):
    folder = run("condition=report").folder
    _, out, _ = bench(monkeypatch, capsys, folder.path)
    assert "the labels hold a bias: against the true forces the MAE is" in out
    error = read(folder.path / "evaluation" / "tiny-test", "evaluation")["errors"][0]
    measured = folder.result()["metrics"]["test"]["forces_mae_ev_per_angstrom"]
    assert error["forces_mae_ev_per_angstrom"] == pytest.approx(measured, rel=1e-4)


def test_a_scan_of_a_published_network(monkeypatch, capsys):
    catalogue.register("tiny", toy.frames(2, 40), {"electronic_temperature_kelvin": 5000.0})
    folder = run(*SCHNET, "trainer.epochs=1").folder
    status, _, _ = bench(monkeypatch, capsys, folder.path, "scan=bond")
    assert status == 0
    content = read(folder.path / "evaluation" / "scan-bond", "scan")
    assert content["model"] == "schnet"
    assert content["jumps"] == 0
    assert "gating" not in content


@pytest.mark.usefixtures("own_folders")
def test_scans_of_several_variants(monkeypatch, capsys):
    catalogue.register("tiny", toy.frames(2, 40), {"electronic_temperature_kelvin": 5000.0})
    brief = ("trainer.epochs=1", "cutoff=3.0")
    folders = [run(*brief, f"envelope={e}").folder for e in ("message", "none")]
    status, out, _ = bench(monkeypatch, capsys, *(f.path for f in folders), "scan=bond")
    assert status == 0
    assert "1.15 to 1.95 angstrom" in out
    for folder in folders:
        target = folder.path / "evaluation" / "scan-bond"
        content = read(target, "scan")
        breaks = pd.read_csv(target / "breaks.csv")
        assert len(breaks) == content["jumps"] + content["cusps"]
        assert len(pd.read_csv(target / "curve.csv")) == 801
        assert content["envelope"] in ("message", "none")
        assert len(content["thresholds_angstrom"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name the folder of a trained run"),
        (("RUN", "gnn=edge"), "gnn=edge: evaluation takes data="),
        (("RUN", "data=tinny"), "did you mean tiny"),
        (("RUN", "scan=torison"), "unknown scan 'torison'; did you mean torsion"),
        (("RUN", "scan=torsion"), "scan=torsion needs a C=C bond outside rings; C3H6 has none"),
        (("RUN", "scan=pair", "seed=1"), "seed=1: beside scan= only data=NAME can be given"),
        (("RUN", "device=gpu"), "unknown option device=gpu"),
        (("RUN", "scan="), "scan=: name a scan, as in scan=torsion,bond,pair"),
        (("RUN", "--steps", "a,b"), "--steps a,b: give whole numbers"),
        (("RUN", "--steps=-1"), "--steps -1: give whole numbers from 0"),
        (("nowhere",), "nowhere/config.yaml: no such file; name the folder of a trained run"),
    ],
)
def test_a_mistake_is_one_line(monkeypatch, capsys, folder, arguments, message):
    given = [str(folder.path) if word == "RUN" else word for word in arguments] or ["data=tiny"]
    status, _, err = bench(monkeypatch, capsys, *given)
    assert status == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (folder.path / "evaluation").exists()
