"""`bench export`: what it writes, what it refuses, and the calculator that takes it."""

from __future__ import annotations

import json
import shutil
import warnings
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from typer.testing import CliRunner

from deepset_bench import processor
from deepset_bench.calculator import DeepSetCalculator
from deepset_bench.cli import app
from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.deployment import exported, packages, program
from deepset_bench.errors import UserError
from deepset_bench.evaluation.ensemble import Ensemble
from deepset_bench.export import self_test
from deepset_bench.export.card import NAME, card
from deepset_bench.export.facts import command
from tests import toy
from tests.training.tiny import run


def not_compiled(program: Any, path: Path, metadata: dict[str, str] | None = None) -> None:
    """In place of a package an archive without code; the portable program stands in for it."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/metadata", json.dumps(metadata))


@pytest.fixture(autouse=True)
def without_compiler(monkeypatch, request):
    if "compiler" not in request.fixturenames:
        patch(monkeypatch)


load_exported = cache(program.load_exported)
"""Seconds for each program."""


def patch(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(path: Path) -> Any:
        with zipfile.ZipFile(path) as archive:
            return program.load_exported(archive.read(f"model/{exported.PORTABLE}")).module()

    monkeypatch.setattr(program, "compiled", not_compiled)
    monkeypatch.setattr(program, "load_exported", load_exported)
    monkeypatch.setattr(program, "load", load)


def export(*words: object) -> str:
    """What the command prints."""
    result = CliRunner().invoke(app, ["export", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a run, its data, and the run exported without a compiler."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("BENCH_DATA", str(home / "data"))
        patched.setenv("BENCH_RUNS", str(home / "runs"))
        frames = toy.frames(3, 60, bias=0.5)
        catalogue.register("tiny", frames, {"method": "analytic", "temperature_kelvin": 300.0})
        folder = run("seed=3").folder.path
        patch(patched)
        (home / "said").write_text(export(folder, home / "model.pt2"))
    (home / "run").symlink_to(folder)
    return home


@pytest.fixture
def data(home, monkeypatch):
    """The run with its data in reach."""
    monkeypatch.setenv("BENCH_DATA", str(home / "data"))
    return home


@pytest.fixture
def atoms() -> Atoms:
    """C3H6 away from rest."""
    frame = toy.frames(3, 1, seed=7)
    return Atoms(frame.numbers, frame.positions)


def test_the_file_says_what_it_is(home) -> None:
    said = (home / "said").read_text()
    assert "largest difference from the run on 7 of its test frames: energy" in said
    facts = exported.read(home / "model.pt2").facts
    assert facts["elements"] == ["H", "C"]
    assert facts["energy_reference"]["rank"] == 1
    assert not facts["energy_reference"]["determined"]
    assert facts["data"][0]["kelvin"] == {"temperature": [300.0, 300.0]}
    assert facts["agreement"]["forces_ev_per_angstrom"] < 1e-4
    assert facts["errors"]["test"]["energy_mae_ev"] > 0
    text = (home / NAME).read_text()
    assert text.startswith("# model.pt2\n\nA trained interatomic potential")
    assert "have rank 1 for 2 elements" in text
    assert "bench train data=tiny condition=corrected" in text
    assert "Temperature of the thermostat: 300 K" in text
    with zipfile.ZipFile(home / "model.pt2") as archive:
        assert archive.read(f"model/{exported.CARD}").decode() == text
        metadata = json.loads(archive.read("model/metadata"))
    assert json.loads(metadata["deepset_bench"])["cutoff_angstrom"] == facts["cutoff_angstrom"]


def test_a_verdict_that_is_not_sound_stands_first(home) -> None:
    facts = exported.read(home / "model.pt2").facts
    facts["data_verdict"] = {"verdict": "defect", "findings": ["forces are no gradient"]}
    lines = card("model.pt2", facts).splitlines()
    assert lines[2].startswith("> **The training data are not sound**")
    assert lines[4] == "> * forces are no gradient"
    facts["data_verdict"] = {"verdict": "not known", "findings": []}
    facts["errors"] = {}
    text = card("model.pt2", facts)
    assert "Nobody knows whether the training data are sound" in text.splitlines()[2]
    assert "Not measured" in text


@pytest.mark.parametrize("compile_it", [None, False])
def test_the_calculator_of_the_file_is_that_of_the_run(home, atoms, compile_it) -> None:
    ours = DeepSetCalculator(home / "run", device="cpu", compile=False)
    other = DeepSetCalculator(home / "model.pt2", compile=compile_it)
    for system in (atoms, Atoms("C", positions=[[1.0, 2.0, 3.0]])):
        said = []
        for calculator in (ours, other):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                calculator.calculate(system)
            said.append([str(one.message) for one in caught])
        assert said[0] == said[1]
        assert other.results["energy"] == pytest.approx(ours.results["energy"], abs=1e-5)
        np.testing.assert_allclose(other.results["forces"], ours.results["forces"], atol=1e-5)
    with pytest.raises(UserError, match=r"atomic number 8 was not in training; .* knows 1, 6"):
        other.calculate(Atoms("OH", [[0, 0, 0], [0, 0, 1]]))
    atoms.info["charge"] = 1
    with pytest.raises(UserError, match=r"charge \+1"):
        other.calculate(atoms)


def test_what_a_file_cannot_do_is_said(home) -> None:
    file = home / "model.pt2"
    with pytest.raises(UserError, match=r"float64: .* computes in float32; export it with"):
        DeepSetCalculator(file, precision="float64")
    with pytest.raises(UserError, match="on the CPU"):
        DeepSetCalculator(file, device="cuda")
    with pytest.raises(UserError, match="cannot be taken together"):
        DeepSetCalculator([file, home / "run"])
    with pytest.raises(UserError, match=r"none\.pt2: cannot be read \(No such file"):
        DeepSetCalculator(home / "none.pt2")
    assert DeepSetCalculator([file, file], compile=False)


def rewritten(file: Path, **changes: Any) -> Path:
    """The file with other facts."""
    opened = exported.read(file)
    other = file.with_name("other.pt2")
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr(f"model/{exported.PORTABLE}", opened.portable)
        archive.writestr(f"model/{exported.FACTS}", json.dumps({**opened.facts, **changes}))
    return other


def test_files_that_are_none(home, tmp_path) -> None:
    file = Path(shutil.copy(home / "model.pt2", tmp_path / "model.pt2"))
    whole = file.read_bytes()
    place = whole.index(b"cutoff_angstrom")
    for content, words in (
        (whole[: len(whole) // 2], "is damaged"),
        (whole[:place] + b"k" + whole[place + 1 :], "a part of it is not what was written"),
        (b"", "is damaged"),
    ):
        damaged = tmp_path / "damaged.pt2"
        damaged.write_bytes(content)
        with pytest.raises(UserError, match=f"damaged.pt2: .*{words}"):
            DeepSetCalculator(damaged)
    with zipfile.ZipFile(tmp_path / "foreign.pt2", "w") as archive:
        archive.writestr("model/version", "1")
    with pytest.raises(UserError, match="no potential that bench export wrote"):
        DeepSetCalculator(tmp_path / "foreign.pt2")
    with pytest.raises(UserError, match="another version of this program"):
        DeepSetCalculator(rewritten(file, format=2))
    with pytest.raises(UserError, match="is damaged"):
        DeepSetCalculator(rewritten(file, cutoff_angstrom=None))
    run_of_it = exported.read(file).facts["run"]
    run_of_it["determinants"]["width"] = 9
    with pytest.raises(UserError, match="differ in width"):
        DeepSetCalculator([file, rewritten(file, run=run_of_it)])


def test_code_of_another_processor_is_compiled_again(home, atoms, monkeypatch) -> None:
    """Without a compiler what is in the file is taken as it is."""
    there = {**processor.here(), "instructions": ["avx1024f"]}
    file = rewritten(home / "model.pt2", compiled=there)
    made: list[Path] = []

    def kept_or_made(kept: Path, make: object) -> Any:
        made.append(kept)
        return program.load(home / "model.pt2")

    monkeypatch.setattr(packages, "kept_or_made", kept_or_made)
    with pytest.warns(UserWarning, match="for a processor with avx1024f; it is compiled again"):
        calculator = DeepSetCalculator(file)
    assert len(made) == 1
    energy = calculator.get_potential_energy(atoms)
    expected = DeepSetCalculator(home / "run", compile=False).get_potential_energy(atoms)
    assert energy == pytest.approx(expected, abs=1e-5)

    def broken(*given: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(packages, "kept_or_made", broken)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert DeepSetCalculator(file).get_potential_energy(atoms) == pytest.approx(energy)
    assert "each step takes longer: no compiler" in str(caught[-1].message)


def test_processors_are_told_apart() -> None:
    now = processor.here()
    assert processor.unlike(now) == ""
    assert processor.unlike({**now, "torch": "2.1"}).startswith("for torch 2.1, this is torch 2")
    assert "sparc" in processor.unlike({**now, "processor": "sparc"})
    assert processor.unlike({**now, "instructions": []}) == ""


def test_an_export_that_is_not_the_run_is_not_written(data, tmp_path, monkeypatch) -> None:
    ensemble = Ensemble([data / "run"], "cpu")
    potential = exported.open_exported(data / "model.pt2", compile_it=False)
    frames = self_test.own_frames(ensemble)
    right = potential.function
    answer = self_test.of_package(potential)
    found = self_test.agreement(answer, ensemble, frames)
    assert found.frames == 7
    assert found.energy_ev < 1e-4
    for wrong in (2.0, np.nan):

        def other(*given: Any, wrong: float = wrong) -> Any:
            energies, forces, strain = right(*given)
            return energies, forces * wrong, strain

        potential.function = other
        with pytest.raises(UserError, match="not exported: largest difference"):
            self_test.agreement(answer, ensemble, frames)
    graph = load_exported(exported.read(data / "model.pt2").portable)
    monkeypatch.setattr(program, "exported", lambda *given: graph)
    monkeypatch.setattr(self_test, "BOUND", 0.0)
    with pytest.raises(UserError, match="not exported"):
        export(data / "run", tmp_path / "out" / "model.pt2")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_cannot_be_exported_is_said(home, tmp_path, monkeypatch) -> None:
    with pytest.raises(UserError, match=r"name a file that ends in \.pt2"):
        export(home / "run", tmp_path / "model.pt")
    with pytest.raises(UserError, match="tiny is not here as it was in training"):
        export(home / "run", tmp_path / "model.pt2")
    (tmp_path / NAME).write_text("# another.pt2\n")
    with pytest.raises(UserError, match="is of another file"):
        export(home / "run", tmp_path / "model.pt2")
    assert [path.name for path in tmp_path.glob("*.pt2")] == []


def test_a_folder_that_the_compiler_does_not_take_is_said(data, tmp_path, monkeypatch) -> None:
    (tmp_path / "a b").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "a b"))
    with pytest.raises(UserError, match=r"a b: PyTorch's compiler takes no .* set TMPDIR"):
        export(data / "run", tmp_path / "out" / "model.pt2")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "overrides",
    [
        ("scalars=cub_sqrt", "seed=4", "trainer.epochs=7"),
        ("model=deepset_x", "data.split=blocks"),
        ("gnn=sage", "condition=report", "rbf=x2_x4_log", "reference=molecule_mean"),
    ],
)
def test_the_command_makes_the_run_again(overrides) -> None:
    wanted = experiment(["data=but-2-ene", *overrides])
    words = command(wanted.config).split()
    assert words[:2] == ["bench", "train"]
    assert experiment(words[2:]).determinants == wanted.determinants


def test_compiled(data, tmp_path, atoms, compiler) -> None:
    """Once from the command line to forces, with the compiler."""
    export(data / "run", tmp_path / "model.pt2", "--precision", "float64")
    calculator = DeepSetCalculator(tmp_path / "model.pt2")
    ours = DeepSetCalculator(data / "run", precision="float64", compile=False)
    found, expected = calculator.get_forces(atoms), ours.get_forces(atoms)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    with pytest.warns(UserWarning, match="C: absolute energy"):
        assert np.isfinite(Atoms("C", calculator=calculator).get_potential_energy())


@pytest.fixture
def compiler() -> None:
    """Asked for by tests that compile."""
