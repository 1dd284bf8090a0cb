"""`bench data`: from files to a set that can be listed, shown and trained on."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from typer.testing import CliRunner

from deepset_bench.cli.data_group import app
from deepset_bench.data import catalogue
from deepset_bench.data.listing import energy_statistics, force_statistics, formulas
from deepset_bench.errors import UserError
from deepset_bench.units import HARTREE, HARTREE_PER_BOHR

POS = """       2
 i =        0, time =        0.000, E =        -1.1000000000
  H         0.0000000000        0.0000000000        0.0000000000
  H         0.0000000000        0.0000000000        0.7400000000
       2
 i =      100, time =       20.000, E =        -1.0000000000
  H         0.0000000000        0.0000000000        0.0000000000
  H         0.0000000000        0.0000000000        0.8000000000
"""
FRC = POS.replace("0.7400000000", "0.0300000000").replace("0.8000000000", "0.0600000000")


@pytest.fixture
def pair(tmp_path, monkeypatch) -> tuple[str, ...]:
    """The options for a CP2K pair, in an empty place, with nothing shipped."""
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "home"))
    monkeypatch.setattr(catalogue, "resource", lambda name: tmp_path / "shipped" / name)
    pos, frc = tmp_path / "h2-pos-1.xyz", tmp_path / "h2-frc-1.xyz"
    pos.write_text(POS)
    frc.write_text(FRC)
    return "--positions", str(pos), "--forces", str(frc)


def bench(*words: str) -> str:
    """What the command prints; a UserError passes through, as to the top-level command."""
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def fake_xtb(method: str) -> SimpleNamespace:
    """Stands in for the labels' method: it is slow, and an optional dependency."""

    def relabel(frames, asked, progress):
        assert asked == method
        for m in range(len(frames)):
            progress(m + 1, len(frames))
        return replace(frames, forces=0.5 * frames.forces, bias_forces=0.5 * frames.forces)

    return SimpleNamespace(METHODS={"gfn1": "GFN1-xTB", "gfn2": "GFN2-xTB"}, relabel=relabel)


def test_a_cp2k_pair(pair):
    output = bench("import", "h2", *pair, "--frames", "2-2")
    assert "h2: 1 frame in" in output
    assert "data=h2" in output
    frames = catalogue.load("h2")
    assert frames.index.tolist() == [1]
    assert frames.energy[0] == -HARTREE
    assert frames.forces[1, 2] == 0.06 * HARTREE_PER_BOHR


def test_the_datasheet_says_where_the_set_came_from(pair):
    bench("import", "h2", *pair, "--frames", "1-2")
    sheet = catalogue.datasheet("h2")
    assert shlex.split(sheet["command"]) == [
        *("bench", "data", "import", "h2", *pair, "--frames", "1-2")
    ]
    assert [source["file"] for source in sheet["sources"]] == ["h2-pos-1.xyz", "h2-frc-1.xyz"]
    assert all(len(source["sha256"]) == 64 for source in sheet["sources"])
    assert sheet["units"] == {"energy": "eV", "positions": "angstrom", "forces": "eV/angstrom"}
    assert "not known" in sheet["method"]


@pytest.mark.parametrize("method", ["gfn1", "gfn2"])
def test_relabelling(pair, monkeypatch, method):
    monkeypatch.setitem(sys.modules, "deepset_bench.molecules.xtb", fake_xtb(method))
    bench("import", "h2", *pair, "--relabel", method)
    frames = catalogue.load("h2")
    assert frames.bias_forces is not None
    np.testing.assert_array_equal(frames.bias_forces, frames.forces)
    assert catalogue.datasheet("h2")["method"] == f"{method.upper()}-xTB".replace("XTB", "xTB")
    assert f"--relabel {method}" in catalogue.datasheet("h2")["command"]


def test_a_file_with_named_labels(pair, tmp_path):
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 1.4]])
    atoms.info["e"], atoms.arrays["f"] = -1.0, np.ones((2, 3))
    path = tmp_path / "h2.extxyz"
    ase.io.write(path, [atoms] * 3)
    options = ["--energy-key", "e", "--forces-key", "f"]
    options += ["--energy-unit", "hartree", "--length-unit", "bohr"]
    bench("import", "h2", str(path), "--frames", "1-2", *options)
    frames = catalogue.load("h2")
    assert frames.energy.tolist() == [-HARTREE] * 2
    np.testing.assert_allclose(frames.forces, HARTREE_PER_BOHR)
    command = shlex.split(catalogue.datasheet("h2")["command"])
    assert command[:5] == ["bench", "data", "import", "h2", str(path)]
    assert command[5:] == [*options, "--frames", "1-2"]


def test_sets_of_several_files_are_listed(pair, tmp_path):
    bench("import", "h2", *pair)
    atoms = [Atoms("H2O", np.eye(3)), Atoms("CH4", np.arange(15).reshape(5, 3))]
    for a in atoms:
        a.calc = SinglePointCalculator(a, energy=-1.0, forces=np.zeros((len(a), 3)))
    ase.io.write(tmp_path / "mix.traj", atoms)
    bench("import", "mix", str(tmp_path / "mix.traj"))
    bench("import", "bad", *pair)
    (tmp_path / "home" / "bad" / "frames.npz").write_bytes(b"bad")
    output = bench("list")
    rows = {line.split()[1]: line for line in output.splitlines() if line.startswith("│")}
    assert rows["h2"].split("│")[2:5] == [" 2      ", " 2             ", " H2         "]
    assert "3-5" in rows["mix"]
    assert "2 formulas" in rows["mix"]
    assert "imported" in rows["mix"]
    assert "damaged" in rows["bad"]


def test_show_names_every_unit(pair):
    bench("import", "h2", *pair)
    output = bench("show", "h2")
    assert "-1.05 hartree" in output
    assert f"{-1.05 * HARTREE:.6g} eV" in output
    assert "0.05 hartree" in output
    assert "0.0075 hartree/bohr" in output
    assert f"{0.0075 * HARTREE_PER_BOHR:.6g} eV/angstrom" in output
    assert "unknown" in output


def test_show_takes_a_known_bias_into_account(pair, monkeypatch):
    monkeypatch.setitem(sys.modules, "deepset_bench.molecules.xtb", fake_xtb("gfn1"))
    bench("import", "h2", *pair, "--relabel", "gfn1")
    output = bench("show", "h2")
    assert "0.00375 hartree/bohr" in output
    assert "0.0075 hartree/bohr" in output
    assert "unknown" not in output


def test_statistics_are_per_molecule(pair):
    bench("import", "h2", *pair)
    frames = catalogue.load("h2")
    assert formulas(frames) == "H2"
    other = replace(frames, energy=frames.energy - 500, molecule=np.array(["a", "b"]))
    spread = list(energy_statistics(other).values())
    assert spread[1:] == [0.0, 0.0]
    assert list(energy_statistics(frames).values())[1:] == pytest.approx([0.05 * HARTREE] * 2)
    assert None in force_statistics(frames).values()


def molecule(path: Path, formula: str, n: int, labels: bool = True) -> str:
    """A file of n frames of hydrogens and what else there is, far from each other."""
    frames = []
    for m in range(n):
        atoms = Atoms(formula)
        atoms.positions = np.arange(3 * len(atoms)).reshape(-1, 3) + 0.01 * m
        if labels:
            forces = np.full((len(atoms), 3), 0.25)
            atoms.calc = SinglePointCalculator(atoms, energy=-float(m + 1), forces=forces)
        frames.append(atoms)
    ase.io.write(path, frames)
    return str(path)


def test_several_files_are_one_set(pair, tmp_path):
    first = molecule(tmp_path / "a.traj", "H2", 3)
    bench("import", "h2", first, molecule(tmp_path / "b.extxyz", "H2", 2))
    frames = catalogue.load("h2")
    assert frames.energy.tolist() == [-1, -2, -3, -1, -2]
    assert frames.index.tolist() == [0, 1, 2, 3, 4]
    assert set(frames.molecule) == {"h2"}
    sources = catalogue.datasheet("h2")["sources"]
    assert [source["file"] for source in sources] == ["a.traj", "b.extxyz"]
    bench("import", "mix", first, molecule(tmp_path / "c.db", "CH4", 1), "--frames", "1-1")
    assert catalogue.load("mix").molecule.tolist() == ["H2", "CH4"]


def test_several_sets_are_one_set(pair, tmp_path):
    bench("import", "one", *pair)
    bench("import", "two", molecule(tmp_path / "a.traj", "CH4", 2))
    bench("import", "both", "one", "two")
    frames = catalogue.load("both")
    assert frames.molecule.tolist() == ["one", "one", "two", "two"]
    assert frames.index.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(frames.select([2, 3]).energy, catalogue.load("two").energy)
    sheet = catalogue.datasheet("both")
    assert [source["set"] for source in sheet["sources"]] == ["one", "two"]
    assert sheet["sources"][0]["sha256"] == catalogue.checksum("one")
    assert sheet["command"] == "bench data import both one two"
    bench("import", "part", "both", "--frames", "2-3")
    assert catalogue.load("part").molecule.tolist() == ["one", "two"]
    with pytest.raises(UserError, match="are options for files; one is a set"):
        bench("import", "again", "one", "--energy-unit", "eV")
    with pytest.raises(UserError, match="no such file, and no such set; did you mean one"):
        bench("import", "again", "ome")


def test_sets_of_two_methods_are_not_one_set(pair, monkeypatch):
    monkeypatch.setitem(sys.modules, "deepset_bench.molecules.xtb", fake_xtb("gfn1"))
    bench("import", "one", *pair)
    bench("import", "two", *pair, "--relabel", "gfn1")
    bench("import", "three", "two", "two")
    assert catalogue.datasheet("three")["method"] == "GFN1-xTB"
    with pytest.raises(
        UserError, match=r"but two has method 'GFN1-xTB'; .* no common zero: .*--relabel gfn1"
    ):
        bench("import", "both", "one", "two")
    bench("import", "both", "one", "two", "--relabel", "gfn1")
    assert catalogue.datasheet("both")["method"] == "GFN1-xTB"


def test_geometries_alone_are_labelled(pair, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "deepset_bench.molecules.xtb", fake_xtb("gfn1"))
    path = molecule(tmp_path / "a.xyz", "H2", 2, labels=False)
    with pytest.raises(UserError, match=r"has no 'energy'.*--relabel"):
        bench("import", "h2", path)
    bench("import", "h2", path, "--relabel", "gfn1")
    assert catalogue.load("h2").bias_forces is None  # nothing is known of one


def test_a_pair_in_parts(pair, tmp_path):
    for kind, text in (("pos", POS), ("forces", FRC)):
        for k, frame in enumerate(text.split("       2\n")[1:]):
            (tmp_path / f"part_{k + 9}.{kind}").write_text(f"       2\n{frame}")
    patterns = (f"{tmp_path}/part_*.pos", "--forces", f"{tmp_path}/part_*.forces")
    bench("import", "parts", "--positions", *patterns)
    bench("import", "whole", *pair)
    np.testing.assert_array_equal(catalogue.load("parts").forces, catalogue.load("whole").forces)
    joined, whole = (catalogue.datasheet(name)["sources"] for name in ("parts", "whole"))
    assert joined[0]["files"] == 2
    assert joined[0]["sha256"] == whole[0]["sha256"]


def test_formulas_are_of_hdf5(pair, tmp_path):
    with pytest.raises(UserError, match="--formula is for HDF5"):
        bench("import", "h2", molecule(tmp_path / "a.traj", "H2", 2), "--formula", "H2")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["import", "h2"], "either files or sets, or both --positions and --forces"),
        (["import", "h2", "{0}", "{1}"], "either files or sets, or both"),
        (["import", "h2", "file", "{0}", "{1}", "{2}", "{3}"], "either files or sets, or both"),
        (["import", "h2", "{0}", "{1}", "{2}", "{3}", "--formula", "H2"], "not for a CP2K pair"),
        (["import", "h2", "none.xyz"], "none.xyz: no such file, and no such set; there are none"),
        (["import", "h2", "{1}", "--energy-unit", "mHa"], "valid: eV"),
        (["import", "h2", "{1}"], "line 2: a CP2K trajectory, without forces"),
        (["import", "h2", "{2}", "{3}", "--positions", "{3}"], "the same numbers"),
        (["import", "h2", "{0}", "{1}", "{2}", "{3}", "--frames", "2-9"], "2 whole frames"),
        (["import", "../h2", "{0}", "{1}", "{2}", "{3}"], "cannot name a data set"),
        (["show", "h3"], "unknown data set 'h3'"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(pair, tmp_path, words, expected):
    with pytest.raises(UserError, match=expected) as caught:
        bench(*(word.format(*pair) for word in words))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "home").exists()


def test_a_taken_name_needs_force(pair):
    bench("import", "h2", *pair)
    with pytest.raises(UserError, match="exists"):
        bench("import", "h2", *pair, "--frames", "1-1")
    bench("import", "h2", *pair, "--frames", "1-1", "--force")
    assert len(catalogue.load("h2")) == 1


def test_an_unknown_method_is_refused_with_the_valid_ones(pair):
    result = CliRunner().invoke(app, ["import", "h2", *pair, "--relabel", "gfn0"])
    assert result.exit_code == 2
    assert "gfn1" in result.output
    assert not Path(catalogue.data_home()).exists()
