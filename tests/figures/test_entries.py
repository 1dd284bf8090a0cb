"""figures.yaml is read once, typed, and every mistake is one line that names file and key."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from deepset_bench.cli.completion import drawn
from deepset_bench.errors import UserError
from deepset_bench.figures import entries
from deepset_bench.figures.figure_kinds import KINDS
from deepset_bench.figures.offered import Offer, build, of_study
from deepset_bench.study.collect import Where
from tests.study.shipped import REPORT, asked_for

ROOT = Path(__file__).parents[2]


def read(folder, text):
    path = folder / entries.FILE
    path.write_text(text)
    return entries.read(path)


def test_an_entry_has_what_its_kind_takes(tmp_path):
    (one,) = read(
        tmp_path,
        "- {name: fig, kind: conformers, coordinate: torsion, at: {cis: 0, trans: 180.0}, row: x2}",
    )
    assert (one.name, one.kind, one.title) == ("fig", "conformers", None)
    assert one.keys == {"coordinate": "torsion", "at": {"cis": 0.0, "trans": 180.0}, "row": "x2"}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_can_be_asked_for_in_yaml(kind):
    """Each key has a type that a list of figures can hold, and is explained."""
    function = KINDS[kind]
    for key, (expected, _) in entries.keys_of(function).items():
        assert expected in entries._WORDS, key
        assert f"        {key}: " in (inspect.getdoc(function) and function.__doc__), key


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x", ": must be a list of figures"),
        ("- 3", ": entry 1: must be a mapping"),
        ("- {kind: curves}", ": entry 1: name is missing or not text"),
        ("- {name: a/b, kind: curves}", "entry 1: the name 'a/b' names files"),
        ("- {name: x, kind: curve}", ": x: unknown kind 'curve'; did you mean curves?"),
        ("- {name: x, kind: curves, shet: y}", ": x: unknown key 'shet'; did you mean sheet?"),
        ("- {name: x, kind: curves, rows: y}", ": x, rows: must be a list of texts, not 'y'"),
        ("- {name: x, kind: scan, path: bond, gfn1: 1}", ", gfn1: must be true or false, not 1"),
        ("- {name: x, kind: error_along}", ": x: coordinate is missing: text"),
        ("- {name: x, kind: curves, title: 3}", ": x, title: must be text, not 3"),
        ("- {name: x, kind: curves}\n- {name: x, kind: parity}", ": the name x is another"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, text, message):
    with pytest.raises(UserError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / entries.FILE))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: curves, sheet: scalers", "sheet: unknown 'scalers'; did you mean scalars?"),
        ("kind: curves, rows: [x3]", "rows: scalars has no 'x3'"),
        ("kind: parity, row: x3 sqr", "row: scalars has no 'x3 sqr'; did you mean x3 sqrt?"),
        ("kind: curves, metrics: [energy_mea]", "metrics: no metric is called energy_mea"),
        ("kind: curves, metrics: [energy_p95]", "metrics: energy_p95 is not measured along"),
        ("kind: error_along, coordinate: 'angel:0-1'", "coordinate: unknown coordinate 'angel:"),
        ("kind: conformers, at: {cis: 0}", "coordinate: a coordinate needs its values in at"),
        ("kind: curves, caption: '{sedes}.'", "caption: nothing is called {sedes}; did you mean"),
    ],
)
def test_what_the_study_does_not_have_is_one_line(tmp_path, text, message):
    listed = read(tmp_path, f"- {{name: x, {text}}}")
    offer = Offer({"scalars": asked_for("scalars")}, listed)
    with pytest.raises(UserError) as caught:
        build(offer, Where((), tmp_path), ["corrected"])
    assert str(caught.value).startswith(f"{tmp_path / entries.FILE}: x, {message}")


def test_the_report_lists_its_figures():
    listed = [entry.name for entry in of_study(REPORT).listed or ()]
    numbers = [f"figure_{n}" for n in (7, 8, 12, 13, 15, 16, 17, 18)]
    assert listed == [*numbers, "parity", "torsion", "learning", "experts", "effects"]


def test_the_documentation_has_every_kind_and_its_keys():
    text = (ROOT / "docs" / "figures.md").read_text()
    for name, kind in KINDS.items():
        (row,) = (line for line in text.splitlines() if line.startswith(f"| `{name}`"))
        keys = set(entries.keys_of(kind)) - {"sheet"}
        assert set(re.findall(r"`(\w+)`", row.split("|")[3])) == keys, name


def test_names_of_figures_are_offered(tmp_path, monkeypatch):
    assert "parity" in drawn("par")
    assert "learning" in drawn("lear")
    assert len(drawn("learning")) == 1  # a figure and a sweep
    (tmp_path / "study.yaml").write_text("title: x\n")
    (tmp_path / entries.FILE).write_text("- {name: mine, kind: parity}\n- 3\n")
    monkeypatch.chdir(tmp_path)
    assert drawn("mi") == ["mine"]
    (tmp_path / entries.FILE).write_text("[")
    assert drawn("mi") == []
