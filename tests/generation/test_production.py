"""`bench data generate` end to end: one molecule or several, interrupted or not, the same bytes."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import shlex
import struct
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml
from typer.testing import CliRunner

from deepset_bench import holding
from deepset_bench.cli.data_group import app
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.generation import processes
from deepset_bench.generation.processes import complete_checkpoints
from deepset_bench.generation.recipe import Recipe, molecules
from deepset_bench.generation.trajectories import generate
from deepset_bench.molecules.frames import Frames

pytest.importorskip("tblite")
pytest.importorskip("rdkit")

SHORT = ["--sampling", "md", "--interval", "1", "--frames", "3"]
TWO = ["--smiles", "C=C ethene", "--smiles", "O water"]


def run(*words: str) -> Exception | str:
    bench = typer.Typer()
    bench.add_typer(app, name="data")
    result = CliRunner().invoke(bench, ["data", *words])
    return result.output if result.exception is None else result.exception  # type: ignore[return-value]


def two_molecules(seed: int, frames: int) -> Frames:
    """What TWO with SHORT makes, one molecule after another in this process."""
    recipes = {"ethene": ("C=C", seed), "water": ("O", seed + 1)}
    return Frames.concatenate(
        generate(name, Recipe(smiles, frames, "md", interval=1.0, seed=of))[0]
        for name, (smiles, of) in recipes.items()
    )


def test_command_writes_a_set_once_and_repeats_it(tmp_path: Path) -> None:
    words = ["generate", "ethene", "--smiles", "C=C", "--frames", "3", "--interval", "2"]
    words += ["--hill-interval", "1", "--torsion", "2-0-1-4", "--out", str(tmp_path)]
    assert "3 frames of C=C" in str(run(*words)).replace("\n", " ")
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
    file = tmp_path / "file"
    file.touch()
    no_folder = run("generate", "x", "--smiles", "C=C", "--out", str(file))
    assert isinstance(no_folder, OSError)
    file.unlink()
    escape = run("generate", "../x", "--smiles", "C=C", "--out", str(tmp_path))
    assert isinstance(escape, UserError)
    first = run("generate", "x", "--smiles", "C=C a", "--smiles", "[CH3] b", "--out", str(tmp_path))
    assert str(first).startswith("b: ")
    assert not list(tmp_path.iterdir())


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(package: str) -> str:
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setitem(sys.modules, "rdkit.Chem", None)
    monkeypatch.setattr(importlib.metadata, "version", version)
    refused = run("generate", "x", "--smiles", "C=C")
    assert isinstance(refused, UserError)
    assert "deepset-bench[generate]" in str(refused)


def test_several_molecules_are_one_set(tmp_path: Path) -> None:
    words = ["generate", "two", *TWO, *SHORT, "--seed", "5", "--jobs", "2"]
    said = run(*words, "--out", str(tmp_path))
    assert "6 frames of 2 molecules" in str(said).replace("\n", " ")
    written = tmp_path / "two" / "frames.npz"
    expected = two_molecules(seed=5, frames=3)
    expected.save(tmp_path / "expected.npz")
    assert written.read_bytes() == (tmp_path / "expected.npz").read_bytes()
    assert expected.molecule.tolist() == ["ethene"] * 3 + ["water"] * 3
    assert expected.index.tolist() == [0, 1, 2, 0, 1, 2]
    assert expected.n_atoms.tolist() == [6] * 3 + [3] * 3
    sheet = yaml.safe_load((tmp_path / "two" / "datasheet.yaml").read_text())
    facts = sheet["molecules"]
    assert {name: facts[name]["smiles"] for name in facts} == {"ethene": "C=C", "water": "O"}
    assert [facts[name]["seed"] for name in facts] == [5, 6]
    options = shlex.split(sheet["command"])
    assert [options[n + 1] for n, word in enumerate(options) if word == "--smiles"] == TWO[1::2]
    assert options[options.index("--seed") + 1] == "5"


def test_one_molecule_that_breaks_does_not_cost_the_others(tmp_path: Path) -> None:
    words = ["--sampling", "md", "--frames", "12", "--interval", "5", "--out", str(tmp_path)]
    words += ["--temperature", "20000", "--friction", "1"]
    two = ["--smiles", "C=C ethene", "--smiles", "N#N nitrogen"]
    failed = run("generate", "hot", *two, *words)
    assert isinstance(failed, UserError)
    message = r"1 of 2 molecules failed: ethene frame \d+: .*--allow-broken; the others are kept"
    assert re.match(message, str(failed))
    (kept,) = tmp_path.glob("*")
    (nitrogen,) = kept.iterdir()
    with np.load(nitrogen) as checkpoint:
        assert checkpoint["positions"].shape == (12, 2, 3)
    assert isinstance(run("generate", "one", *two[:2], *words, "--allow-broken"), str)
    sheet = yaml.safe_load((tmp_path / "one" / "datasheet.yaml").read_text())
    assert sheet["molecules"]["ethene"]["measured"]["frames_with_broken_molecule"] > 0
    assert "--allow-broken" in sheet["command"]


def test_killed_it_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    words = ["generate", "two", *TWO, "--sampling", "md", "--interval", "1", "--frames", "40"]
    words += ["--out", str(tmp_path)]
    command = [sys.executable, "-m", "deepset_bench.cli", "data", *words]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob(".two.unfinished/*.npz")):
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not (tmp_path / "two").exists()
    assert isinstance(run(*words), str)
    assert [p.name for p in tmp_path.iterdir()] == ["two"]
    two_molecules(seed=0, frames=40).save(tmp_path / "expected.npz")
    written = (tmp_path / "two" / "frames.npz").read_bytes()
    assert written == (tmp_path / "expected.npz").read_bytes()


def test_a_set_elsewhere_that_was_begun_goes_on(tmp_path: Path) -> None:
    """Killed between the names of its two files it has frames and is no set."""
    words = ["generate", "water", "--smiles", "O", *SHORT, "--out", str(tmp_path)]
    assert isinstance(run(*words), str)
    expected = {path.name: path.read_bytes() for path in (tmp_path / "water").iterdir()}
    (tmp_path / "water/datasheet.yaml").unlink()
    assert "already has frames.npz" in str(run(*words))
    (tmp_path / ".water.unfinished").mkdir()
    assert isinstance(run(*words), str)
    assert {path.name: path.read_bytes() for path in (tmp_path / "water").iterdir()} == expected
    assert [path.name for path in tmp_path.iterdir()] == ["water"]


def test_two_at_once_do_not_write_one_set(tmp_path: Path) -> None:
    words = ["generate", "water", "--smiles", "O", *SHORT, "--out", str(tmp_path)]
    begun = tmp_path / ".water.unfinished"
    begun.mkdir()
    with holding.Hold(begun):
        refused = run(*words)
        assert isinstance(refused, UserError)
        assert re.match(
            f"{re.escape(str(begun))}: another process generates this set; ", str(refused)
        )
        assert [path.name for path in tmp_path.iterdir()] == [begun.name]
    assert isinstance(run(*words), str)
    assert [path.name for path in tmp_path.iterdir()] == ["water"]


def test_a_process_that_dies_in_a_message_is_a_molecule_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_work", die_in_a_message)
    work = {tmp_path / "x.npz": ("water", Recipe("O", 1, sampling="md"))}
    failures = complete_checkpoints(work, 1, False, lambda *_: None)
    assert failures == ["water: its process ended with 9"]


def die_in_a_message(tell: Connection, *_: object) -> None:
    """Of 100 bytes that are announced one is sent."""
    os.write(tell.fileno(), struct.pack("!i", 100) + b"x")
    os._exit(9)


def test_a_disk_that_is_full_is_no_mistake_of_the_user(tmp_path: Path) -> None:
    """In a process of its own, too."""
    recipe = Recipe("O", 1, sampling="md")
    work = {tmp_path / "x" / ("n" * 300): ("water", recipe)}
    with pytest.raises(OSError, match="File name too long"):
        complete_checkpoints(work, 1, False, lambda *_: None)


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
