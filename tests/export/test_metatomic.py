"""`bench export --format metatomic`: energies, forces and stress are the calculator's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from typer.testing import CliRunner

from deepset_bench.calculator import DeepSetCalculator
from deepset_bench.cli import app
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.export.card import NAME
from tests import toy
from tests.training.tiny import DEEPSET_X, SCHNET, run

pytest.importorskip("metatomic.torch")
pytestmark = pytest.mark.filterwarnings("ignore")  # TorchScript is deprecated in many ways


@pytest.fixture
def data(own_folders) -> Path:
    """The set `tiny`."""
    catalogue.register("tiny", toy.frames(3, 60), {"method": "analytic"})
    return own_folders


def export(run: Path, file: Path) -> str:
    """What the command prints."""
    words = ["export", str(run), str(file), "--format", "metatomic"]
    result = CliRunner().invoke(app, words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def systems() -> list[Atoms]:
    """A molecule, a lone atom, and crowded cells, one of them narrower than the cutoff."""
    frame = toy.frames(3, 1, seed=7)
    molecule = Atoms(frame.numbers, frame.positions)
    cell = molecule.copy()
    cell.set_cell([[6.0, 0.0, 0.0], [0.5, 5.5, 0.0], [0.0, 1.0, 4.5]])
    cell.pbc = True
    return [molecule, Atoms("C"), cell, cell.repeat((1, 2, 1))]


@pytest.mark.parametrize("overrides", [("reference=molecule_mean",), DEEPSET_X])
def test_it_is_the_calculator(data, overrides) -> None:
    from deepset_bench.export import metatomic

    folder = run(*overrides, "trainer.epochs=1").folder.path
    said = export(folder, data / "out" / "model.pt")
    assert "largest difference from the run on 7 of its test frames" in said
    text = (data / "out" / NAME).read_text()
    assert text.startswith("# model.pt\n")
    assert "TorchScript, for metatomic" in text
    ours = DeepSetCalculator(folder, compile=False)
    theirs = metatomic.calculator(data / "out" / "model.pt")
    for atoms in systems():
        other = atoms.copy()
        atoms.calc, other.calc = ours, theirs
        energy = atoms.get_potential_energy()
        assert other.get_potential_energy() == pytest.approx(energy, abs=1e-5)
        np.testing.assert_allclose(other.get_forces(), atoms.get_forces(), atol=1e-5)
        if atoms.pbc.all():
            np.testing.assert_allclose(other.get_stress(), atoms.get_stress(), atol=1e-6)


def test_networks_that_see_farther_are_refused(data) -> None:
    folder = run(*SCHNET, "trainer.epochs=1").folder.path
    with pytest.raises(UserError, match="metatomic takes DeepSet without graph layers"):
        export(folder, data / "out" / "model.pt")
    with pytest.raises(UserError, match=r"name a file that ends in \.pt$"):
        export(folder, data / "out" / "model.pt2")
    assert list((data / "out").iterdir()) == []
