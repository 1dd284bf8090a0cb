"""`bench data generate` end to end: one molecule or several, interrupted or not, the same bytes."""

from __future__ import annotations

import hashlib
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml
from typer.testing import CliRunner

from deepset_bench.cli_data import app
from deepset_bench.data import catalogue
from deepset_bench.data.frames import Frames
from deepset_bench.data.recipe import Recipe, molecules
from deepset_bench.errors import UserError

pytest.importorskip("tblite")
pytest.importorskip("rdkit")

SHORT = ["--sampling", "md", "--interval", "1", "--frames", "3"]
TWO = ["--smiles", "C=C ethene", "--smiles", "O water"]


def run(*words: str) -> Exception | str:
    bench = typer.Typer()
    bench.add_typer(app, name="data")
    result = CliRunner().invoke(bench, ["data", *words])
    return result.output if result.exception is None else result.exception  # type: ignore[return-value]


def test_command_writes_a_set_once_and_repeats_it(tmp_path: Path) -> None:
    words = ["generate", "ethene", "--smiles", "C=C", "--frames", "3", "--interval", "2"]
    words += ["--hill-interval", "1", "--torsion", "2-0-1-4", "--out", str(tmp_path)]
    assert "3 frames of C2H4" in str(run(*words)).replace("\n", " ")
    folder = tmp_path / "ethene"
    assert [p.name for p in tmp_path.iterdir()] == ["ethene"]
    assert sorted(p.name for p in folder.iterdir()) == ["datasheet.yaml", "frames.npz"]
    before = (folder / "frames.npz").read_bytes()
    sheet = yaml.safe_load((folder / "datasheet.yaml").read_text())
    assert sheet["sha256"] == hashlib.sha256(before).hexdigest()
    assert sheet["torsions"] == [[2, 0, 1, 4]]
    refusal = run(*words)
    assert isinstance(refusal, UserError)
    assert "--force" in str(refusal)
    again = shlex.split(sheet["command"])
    assert again[:2] == ["bench", "data"]
    assert isinstance(run(*again[2:], "--force"), str)
    assert (folder / "frames.npz").read_bytes() == before


def test_command_without_a_folder_makes_a_set_that_data_finds() -> None:
    assert isinstance(run("generate", "ethene", "--smiles", "C=C", *SHORT), str)
    assert len(catalogue.load("ethene")) == 3
    assert catalogue.datasheet("ethene")["sampling"]["kind"] == "md"
    assert "ethene" in str(run("show", "ethene"))


def test_command_leaves_nothing_when_it_fails(tmp_path: Path) -> None:
    failed = run("generate", "x", "--smiles", "CC", "--frames", "3", "--out", str(tmp_path))
    assert isinstance(failed, UserError)
    escape = run("generate", "../x", "--smiles", "C=C", "--out", str(tmp_path))
    assert isinstance(escape, UserError)
    first = run("generate", "x", "--smiles", "C=C a", "--smiles", "[CH3] b", "--out", str(tmp_path))
    assert str(first).startswith("b: ")
    assert not list(tmp_path.iterdir())


def test_several_molecules_are_one_set_however_many_at_once(tmp_path: Path) -> None:
    for jobs in ("1", "2"):
        out = str(tmp_path / jobs)
        said = run("generate", "two", *TWO, *SHORT, "--jobs", jobs, "--out", out)
        assert "6 frames of 2 molecules" in str(said).replace("\n", " ")
    one, two = (tmp_path / jobs / "two" / "frames.npz" for jobs in ("1", "2"))
    assert one.read_bytes() == two.read_bytes()
    frames = Frames.load(one)
    assert frames.molecule.tolist() == ["ethene"] * 3 + ["water"] * 3
    assert frames.index.tolist() == [0, 1, 2, 0, 1, 2]
    assert frames.n_atoms.tolist() == [6] * 3 + [3] * 3
    sheet = yaml.safe_load(one.with_name("datasheet.yaml").read_text())
    facts = sheet["molecules"]
    assert {name: facts[name]["smiles"] for name in facts} == {"ethene": "C=C", "water": "O"}
    assert [facts[name]["seed"] for name in facts] == [0, 1]
    alone = ["--smiles", "O", "--seed", "1", "--out", str(tmp_path)]
    assert isinstance(run("generate", "water", *alone, *SHORT), str)
    water = Frames.load(tmp_path / "water" / "frames.npz")
    assert np.array_equal(water.forces, frames.select(slice(3, 6)).forces)


def test_what_is_done_outlives_a_molecule_that_fails(tmp_path: Path) -> None:
    words = ["generate", "hot", *TWO, "--sampling", "md", "--frames", "12", "--interval", "5"]
    # Water cannot hold together at this temperature; of ethene one frame is asked to be there.
    words += ["--temperature", "30000", "--friction", "1", "--out", str(tmp_path)]
    failed = run(*words)
    assert isinstance(failed, UserError)
    assert "molecules failed" in str(failed)
    assert "\n" not in str(failed)
    assert not (tmp_path / "hot").exists()
    assert isinstance(run(*words, "--allow-broken"), str)
    sheet = yaml.safe_load((tmp_path / "hot" / "datasheet.yaml").read_text())
    assert max(f["measured"]["frames_with_broken_molecule"] for f in sheet["molecules"].values())
    assert "--allow-broken" in sheet["command"]


def test_killed_it_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    words = ["generate", "two", *TWO, "--sampling", "md", "--interval", "1", "--frames", "40"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert isinstance(run(*words, "--out", str(whole)), str)
    command = [sys.executable, "-m", "deepset_bench.cli", "data", *words, "--out", str(killed)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not list(killed.glob(".two.unfinished/*.npz")):
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (killed / "two").exists()
    kept = {p: p.stat().st_mtime_ns for p in killed.glob(".two.unfinished/*.npz")}
    assert isinstance(run(*words, "--out", str(killed)), str)
    assert kept
    a, b = (folder / "two" / "frames.npz" for folder in (whole, killed))
    assert a.read_bytes() == b.read_bytes()
    assert [p.name for p in killed.iterdir()] == ["two"]


def test_molecules_by_name(tmp_path: Path) -> None:
    assert molecules("set", ["C=C"]) == {"set": "C=C"}
    assert molecules("set", ["C=C ethene"]) == {"ethene": "C=C"}
    assert molecules("set", ["C=C", "O water"]) == {"C=C": "C=C", "water": "O"}
    file = tmp_path / "some.smi"
    file.write_text("# alkenes\nC/C=C\\C\tcis-but-2-ene\n\nC=C  ethene \n", encoding="utf-8")
    assert molecules("set", [str(file), "O"]) == {
        "cis-but-2-ene": "C/C=C\\C",
        "ethene": "C=C",
        "O": "O",
    }


@pytest.mark.parametrize(
    ("smiles", "message"),
    [
        (["C=C a", "O a"], "two molecules are called 'a'"),
        (["C=C", "C=C"], "two molecules are called 'C=C'"),
        (["nowhere.smi"], r"nowhere\.smi: cannot be read"),
        ([], "no molecule"),
    ],
)
def test_molecules_that_cannot_be_told_apart(smiles: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        molecules("set", smiles)


def test_every_option_of_a_recipe_is_an_option_of_the_command() -> None:
    import inspect
    from dataclasses import fields

    from deepset_bench.cli_data import generate

    options = set(inspect.signature(generate).parameters)
    assert {f.name for f in fields(Recipe)} - {"torsions"} <= options
