"""The scripts in docs/examples run and print numbers."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.evaluation.paths import starting_molecule, torsion_path
from deepset_bench.molecules.frames import Frames
from tests import toy
from tests.training.tiny import DEEPSET_X, UNMOVED, run

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
BRIEF = (*DEEPSET_X, *UNMOVED, "trainer.epochs=1", "data.train_size=150")


def twisted(n_frames: int) -> Frames:
    """C2H4 at random torsion angles and displacements, under the analytic potential."""
    numbers, rest, bonds = toy.chain(2)
    rng = np.random.default_rng(0)
    path = torsion_path(starting_molecule(toy.geometry(numbers, rest)))
    positions = path.build(rng.uniform(0, 180, n_frames)) + rng.normal(0, 0.1, (n_frames, 6, 3))
    labels = [toy.energy_and_forces(numbers, p, rest, bonds) for p in positions]
    return Frames(
        numbers=np.tile(numbers, n_frames),
        positions=positions.reshape(-1, 3),
        n_atoms=np.full(n_frames, 6),
        energy=np.array([energy for energy, _ in labels]),
        forces=np.concatenate([forces for _, forces in labels]),
        bias_forces=None,
        molecule=np.full(n_frames, "c2h4"),
        index=np.arange(n_frames),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run on them."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_DATA", str(home / "data"))
        patch.setenv("BENCH_RUNS", str(home / "runs"))
        catalogue.register("tiny", twisted(180), {"electronic_temperature_kelvin": 5000.0})
        yield str(run(*BRIEF).folder.path)


def printed(name: str, capsys, *arguments: str) -> str:
    """What a script prints."""
    runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](list(arguments))
    return capsys.readouterr().out


@pytest.fixture
def data(folder, monkeypatch):
    """The run with its data in reach; `own_folders` hides them."""
    monkeypatch.setenv("BENCH_DATA", str(Path(folder).parents[4] / "data"))
    return folder


def numbers(line: str) -> list[float]:
    return [float(word) for word in re.findall(r"-?\d+\.?\d*", line)]


def test_dynamics_conserve_energy(data, capsys):
    out = printed("dynamics", capsys, data, "--picoseconds", "0.1", "--precision", "float64")
    lines = {line.split("  ")[0]: line for line in out.splitlines()}
    assert out.startswith("C2H4, 0.1 ps in steps of 0.5 fs")
    exchanged = numbers(lines["kinetic energy, std"])[0]
    assert numbers(lines["total energy, std"])[0] < 0.05 * exchanged
    assert re.search(r"drift +-?\d+\.\d+ ± \d+\.\d+ meV/ps", out)


@pytest.mark.parametrize("name", ["isomers", "vibrations"])
def test_beside_gfn1(name, data, capsys):
    pytest.importorskip("tblite.ase")
    steps = ("--step", "90") if name == "isomers" else ()
    out = printed(name, capsys, data, *steps)
    assert out.startswith("C2H4; GFN1-xTB at an electronic temperature of 5000 K")
    assert "nan" not in out
    if name == "vibrations":
        frequencies = [numbers(line) for line in out.splitlines()[2:14]]
        assert [int(row[0]) for row in frequencies] == list(range(1, 13))
        # Ethylene's C-H stretches in GFN1-xTB.
        assert all(2900 < row[2] < 3300 for row in frequencies[-4:])
    else:
        (barrier,) = [line for line in out.splitlines() if line.startswith("barrier from trans")]
        assert 1.0 < numbers(barrier)[1] < 4.0  # GFN1-xTB, eV


def test_how_long_gfn1_keeps_molecules_whole(data, capsys):
    pytest.importorskip("tblite.interface")
    with pytest.raises(UserError, match="has no task"):
        printed("survival", capsys, data)
    catalogue.register("others", twisted(9), {})
    new = ("task.data=others", "task.ood.molecules=[c2h4]")
    folder = str(run(*BRIEF, *new).folder.path)
    brief = ("--kelvin", "300", "--picoseconds", "0.02")
    lines = printed("survival", capsys, folder, *brief).splitlines()
    assert lines[0] == "GFN1-xTB, ps until a bond breaks, 0.02 at most"
    assert lines[1].startswith("  300 K  mean 0.0  of")
    assert lines[1].count("0.0") == 9
    assert len(lines) == 2


def test_paired_ratios(tmp_path, capsys):
    """Twice and half of the same errors, seed by seed; one seed of a row has no interval."""
    each = [(row, seed) for row in "ab" for seed in range(2)] + [("c", 0)]
    lines = [
        f"{sweep},{row},{seed},{factor * (seed + 1)},{(seed + 1) / factor},1"
        for sweep, factor in (("one", 1), ("other", 2))
        for row, seed in [*each, (sweep, 0)]
    ]
    rows = tmp_path / "rows.csv"
    heading = "sweep,row,seed,ood energy,ood relative,ood forces"
    rows.write_text("\n".join([heading, *lines]))
    text = printed("paired", capsys, str(rows), "one", "other")
    same = "2.00 [2.00, 2.00] | 0.50 [0.50, 0.50] | 1.00 [1.00, 1.00] |"
    assert text.splitlines()[2:] == [f"| a | 2 | {same}", f"| b | 2 | {same}",
                                     f"| over rows | 3 | {same}"]  # fmt: skip
    with pytest.raises(SystemExit):
        printed("paired", capsys, str(rows), "one", "neither")


def test_the_table_of_discontinuities(data, capsys):
    from deepset_bench.evaluation.evaluate_command import evaluate

    evaluate([data, "scan=bond"], "hartree", None)
    capsys.readouterr()
    heading, rule, row = printed("discontinuities", capsys, data).splitlines()
    assert heading.count("|") == rule.count("|") == row.count("|")
    assert "bond: jumps" in heading
    assert "| 0, —, 0 |" in row
    with pytest.raises(SystemExit):
        printed("discontinuities", capsys, str(Path(data).parent / "seed-9"))
