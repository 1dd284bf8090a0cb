"""`bench data check` and `bench data relabel`, as a person meets them."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from typer.testing import CliRunner

from deepset_bench.checks import agreement
from deepset_bench.cli.data_group import app
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.molecules.frames import Frames
from deepset_bench.units import HARTREE, HARTREE_PER_BOHR
from tests import toy
from tests.browser import Tags, browser
from tests.checks.cases import bias, clean
from tests.test_cli import inside

REAL = Path(__file__).resolve().parents[4] / "shared" / "data"
SHEET = {"method": "GFN1-xTB", "electronic_temperature_kelvin": 5000.0, "smiles": "CC=CC"}


def bench(*words: str | Path, columns: int = 100) -> tuple[int, str]:
    """Exit status and output; a UserError passes through, as to the top-level command."""
    result = CliRunner().invoke(app, [*map(str, words)], env={"COLUMNS": str(columns)})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def extxyz(frames: Frames, path: Path, energy: float = 1.0, forces: float = 1.0) -> Path:
    """A file without units, as people send them."""
    images = []
    for m in range(len(frames)):
        rows = frames.atoms_of(m)
        atoms = Atoms(frames.numbers[rows], frames.positions[rows])
        atoms.info["e"] = energy * frames.energy[m]
        atoms.arrays["f"] = forces * frames.forces[rows]
        images.append(atoms)
    ase.io.write(path, images, format="extxyz")
    return path


@pytest.fixture(autouse=True)
def small_surfaces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smooth surface of fewer forces: its time grows with the cube of their number."""
    if request.cls is not TestTheReportsTrajectories:
        monkeypatch.setattr(agreement, "LARGEST", 900)


@pytest.fixture
def sound() -> str:
    catalogue.register("sound", clean(300), SHEET)
    return "sound"


@pytest.fixture
def biased() -> str:
    frames = clean(300)
    catalogue.register("biased", replace(frames, forces=frames.forces + bias(300)), {})
    return "biased"


def test_a_sound_set(sound: str, tmp_path: Path) -> None:
    status, output = bench("check", sound, "--sample", "0", "--json", tmp_path / "found.json")
    assert status == 0
    assert output.startswith("sound, 300 frames of 12 atoms: ok")
    assert "defect" not in output
    content = json.loads((tmp_path / "found.json").read_text())
    assert (content["name"], content["frames"], content["verdict"]) == ("sound", 300, "ok")
    checks = {finding["check"]: finding for finding in content["findings"]}
    assert checks["molecule and name"]["verdict"] == "ok"
    assert checks["gradient (GFN-xTB)"]["verdict"] == "not run"
    assert set(checks["net force"]) >= {"number", "unit", "frames", "atoms", "advice", "text"}


def test_a_biased_set_without_tblite(biased: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tblite.interface", None)
    status, output = bench("check", biased)
    assert status == 1
    assert "defect   work and energy" in output
    assert "atoms 0, 1, 2, 3, 7, 8" in " ".join(output.split())
    assert "deepset-bench[generate]" in output


def test_a_set_of_a_known_molecule_without_rdkit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rdkit.Chem", None)
    status, output = bench("check", "but-2-ene", "--sample", "0")
    assert status == 0
    (line,) = [text for text in output.splitlines() if "molecule and name" in text]
    assert line.startswith("ok")
    assert "the geometry is but-2-ene, C4H8, as it is said to be" in line


def test_a_biased_set_with_tblite_and_relabelled(biased: str, tmp_path: Path) -> None:
    pytest.importorskip("tblite")
    status, output = bench("check", biased, "--sample", "10")
    words = " ".join(output.split())
    assert status == 1
    assert "electrons at 5000 K" in words
    assert "forces on atoms 0, 1, 2, 3, 7, 8 are off by" in words
    assert "bench data relabel biased --as NEW --method gfn1" in words

    options = ("--electronic-temperature", "5000", "--frames", "1-40")
    status, output = bench("relabel", biased, "--as", "mended", *options)
    assert status == 0
    assert "bench data check mended" in output
    mended, before = catalogue.load("mended"), clean(40)
    np.testing.assert_allclose(mended.forces, before.forces, atol=1e-5)
    np.testing.assert_allclose(mended.bias_forces, bias(40), atol=1e-5)
    np.testing.assert_allclose(mended.energy, before.energy, atol=1e-5)
    sheet = catalogue.datasheet("mended")
    assert sheet["method"] == "GFN1-xTB"
    assert sheet["electronic_temperature_kelvin"] == 5000.0
    assert sheet["command"].endswith("--electronic-temperature 5000 --frames 1-40")
    status, output = bench("check", "mended", "--sample", "5")
    assert status == 0


@pytest.mark.parametrize(
    ("energy", "forces", "options", "words", "mended"),
    [
        (
            1 / HARTREE,
            1 / HARTREE_PER_BOHR,
            [],
            "hartree/bohr read as eV/angstrom",
            "--energy-unit hartree --force-unit hartree/bohr",
        ),
        (
            1 / HARTREE,
            1.0,
            [],
            "energies in hartree beside forces in eV/length",
            "--energy-unit hartree --force-unit eV/angstrom",
        ),
        (
            1 / HARTREE,
            1 / HARTREE,
            ["--energy-unit", "hartree", "--length-unit", "bohr"],
            "bohr",
            "--length-unit angstrom --force-unit hartree/angstrom",
        ),
    ],
)
def test_files_declared_in_the_wrong_unit(tmp_path, energy, forces, options, words, mended) -> None:
    path = extxyz(clean(120), tmp_path / "but-2-ene.extxyz", energy, forces)
    keys = ["--energy-key", "e", "--forces-key", "f", "--sample", "0"]
    status, output = bench("check", path, *keys, *options)
    assert status == 1
    assert words in " ".join(output.split())
    assert mended in " ".join(output.split())  # what to do


def test_what_the_molecule_is_said_to_be(sound: str) -> None:
    pytest.importorskip("rdkit")
    status, output = bench("check", sound, "--sample", "0", "--smiles", "pent-2-ene")
    assert status == 1
    assert (
        "the geometry is but-2-ene, CC=CC, not pent-2-ene (C5H10): 1 C too few, 2 H too few"
        in " ".join(output.split())
    )
    with pytest.raises(UserError, match="neither a SMILES"):
        bench("check", sound, "--sample", "0", "--smiles", "C(")


def test_the_name_of_a_file_is_what_its_molecule_is_said_to_be(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    path = extxyz(clean(40), tmp_path / "but-1-ene.extxyz")
    keys = ["--energy-key", "e", "--forces-key", "f", "--sample", "0"]
    status, output = bench("check", path, *keys)
    assert status == 1
    assert "not but-1-ene" in " ".join(output.split())
    assert bench("check", path, *keys, "--name", "2-butene")[0] == 0


def test_against_another_set(sound: str) -> None:
    status, output = bench("check", sound, "--sample", "0", "--against", "pent-2-ene")
    assert status == 0  # alkenes are multiples of CH2
    assert "of the other set's 1 compositions, 0 are not a linear combination" in " ".join(
        output.split()
    )
    water = toy.geometry(np.array([8, 1, 1]), np.eye(3))
    catalogue.register("water", water, {})
    assert bench("check", sound, "--sample", "0", "--against", "water")[0] == 1


def test_the_page_needs_nothing_else_and_follows_light_and_dark(
    biased: str, tmp_path: Path
) -> None:
    pytest.importorskip("tblite")
    path = tmp_path / "page.html"
    assert bench("check", biased, "--sample", "5", "--html", path)[0] == 1
    text = path.read_text()
    parser = Tags(text)
    assert parser.outside == []
    assert parser.open == []
    assert "prefers-color-scheme: dark" in text
    assert text.count("<figure>") == 7
    assert "var(--ink)" in text
    assert not re.search("#123456|#234567", text)
    assert "GFN1-xTB" in text
    assert path.stat().st_size < 500_000


def test_the_page_in_a_browser(sound: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    bench("check", sound, "--sample", "0", "--html", path)
    with browser(tmp_path / "profile") as seen:
        for width, scheme in ((1280, "light"), (420, "dark")):
            seen.show(width, scheme)
            seen.open(path)
            assert seen.evaluate("document.documentElement.scrollWidth") == width
            assert (seen.pixels()[:, :4].mean() > 0.5) == (scheme == "light")
            pictures = seen.pictures("figure svg")
            assert len(pictures) >= 5
            assert all(picture.std() > 0.02 for picture in pictures)
        assert seen.complaints == []


def test_a_page_of_few_frames_has_fewer_plots(tmp_path: Path) -> None:
    catalogue.register("few", clean(3), {})
    path = tmp_path / "page.html"
    assert bench("check", "few", "--sample", "0", "--html", path)[0] == 0
    assert path.read_text().count("<figure>") == 2  # bonds and torsions


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["check", "sonud"], "no such file, and no such set; did you mean sound"),
        (["check"], "give either files or sets, or both --positions and --forces"),
        (["check", "sound", "--energy-unit", "eV"], "sound is a set"),
        (["check", "sound", "--frames", "1-900"], "300 whole frames"),
        (["check", "sound", "--against", "nothing"], "unknown data set 'nothing'"),
        (["relabel", "sound", "--as", "but-2-ene"], "shipped with the program"),
        (["relabel", "sound", "--as", "sound"], "exists"),
    ],
)
@pytest.mark.usefixtures("sound")
def test_mistakes_are_one_line(words: list[str], expected: str) -> None:
    with pytest.raises(UserError, match=re.escape(expected)) as caught:
        bench(*words)
    assert "\n" not in str(caught.value)


def test_no_line_is_wider_than_the_terminal(biased: str) -> None:
    for columns in (80, 100, 200):
        _, output = bench("check", biased, "--sample", "0", columns=columns)
        assert max(len(line) for line in output.splitlines()) <= columns


@pytest.mark.skipif(not REAL.exists(), reason="the report's trajectories are not here")
class TestTheReportsTrajectories:
    """What nobody saw in them, seen unprompted."""

    def check(self, name: str, *options: str) -> tuple[int, str]:
        pytest.importorskip("tblite")
        files = [REAL / f"{name}-{kind}-1.xyz.xz" for kind in ("pos", "frc")]
        pair = ("--positions", files[0], "--forces", files[1])
        status, output = bench("check", *pair, "--sample", "20", *options)
        return status, " ".join(output.split())

    def test_but_2_ene(self) -> None:
        status, words = self.check("but-2-ene")
        assert status == 1
        assert "GFN1-xTB energies: 1.0" in words
        assert "forces on atoms 0, 1, 2, 4 are off by" in words
        assert "a bias on that coordinate" in words
        assert "against 0.6" in words  # eV/angstrom of the true force
        assert "in 8,315 of 15,001 frames, first in frame 6686 (counted from 0)" in words
        assert "--frames 1-6686 --as NEW --method gfn1" in words

    def test_pentene(self) -> None:
        status, words = self.check("pentene", "--name", "pent-2-ene")
        assert status == 1
        assert "GFN1-xTB energies: 1.8" in words
        assert "forces on atoms 0, 1, 3, 4 are off by" in words
        assert "the geometry is pent-1-ene, C=CCCC, not pent-2-ene of the same formula" in words
        assert "coldest at atoms 2" in words
        assert "ok molecule whole" in words


def test_a_page_that_cannot_be_written_is_said_before_the_examination(
    tiny, monkeypatch, capsys, tmp_path
):
    (tmp_path / "file").write_text("")
    page = str(tmp_path / "file" / "page.html")
    status, out, err = inside(monkeypatch, capsys, "data", "check", "tiny", "--html", page)
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert str(tmp_path / "file") in err
