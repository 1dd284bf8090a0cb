"""Frames that have energies and no forces: scored, never trained on."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from deepset_bench.data import catalogue
from tests import toy
from tests.test_cli import inside
from tests.training.tiny import asked, run

SIZES = ("data.train_size=1", "data.val_size=1", "data.test_size=1")
pytestmark = pytest.mark.usefixtures("tiny")


def test_a_scan_without_forces_is_scored(tmp_path, monkeypatch, capsys):
    """Energies as with forces; of forces there is nothing to say."""
    frames = toy.frames(6, 3)
    parts = np.split(np.arange(len(frames.numbers)), frames.offsets[1:-1])
    images = []
    for rows, energy in zip(parts, frames.energy, strict=True):
        images.append(Atoms(frames.numbers[rows], frames.positions[rows], info={"energy": energy}))
    write(tmp_path / "scan.xyz", images, format="extxyz")
    folder = run("trainer.epochs=1").folder

    def bench(*words: str) -> tuple[int, str, str]:
        return inside(monkeypatch, capsys, *words)

    file = str(tmp_path / "scan.xyz")
    status, _, err = bench("data", "import", "refused", file)
    assert (status, "forces" in err) == (2, True)
    status, out, err = bench("data", "import", "scan", file, "--energies-only")
    assert (status, err) == (0, "")
    assert "3 without forces" in out
    assert "bench evaluate RUN data=scan" in out
    assert not catalogue.load("scan").has_forces.any()

    status, out, err = bench("evaluate", str(folder.path), "data=scan")
    assert (status, err) == (0, "")
    text = (folder.path / "evaluation" / "scan" / "evaluation.json").read_text()
    found = json.loads(text)
    json.loads(text, parse_constant=pytest.fail)  # NaN is not JSON
    (errors,) = (row for row in found["errors"] if row["of"] == "all")
    assert errors["frames"] == len(frames)
    assert np.isfinite(errors["relative_energy_mae_ev"])
    assert errors["forces_mae_ev_per_angstrom"] is None

    status, _, err = bench("train", *asked("data=scan", "name=other", *SIZES))
    assert (status, err.count("\n")) == (2, 1)
    assert "scan frame 0 (counted from 0) has an energy, but no forces" in err
    status, out, err = bench("data", "check", "scan", "--sample", "0")
    assert (status, err) == (0, "")
    assert "3 of 3 frames have no forces" in " ".join(out.split())
    status, out, _ = bench("data", "import", "again", "scan")
    assert (status, "3 without forces" in out) == (0, True)
