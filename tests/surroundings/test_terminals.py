"""What a terminal or a reader of the output can do."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml

from deepset_bench.data import catalogue
from deepset_bench.files import csv_text
from deepset_bench.surroundings import prepare
from tests import toy
from tests.surroundings.processes import ODD, benches, shell
from tests.test_cli import inside
from tests.training.tiny import OVERRIDES, asked, run


def test_a_terminal_of_ascii(public, tiny):
    small = " ".join(asked("trainer.epochs=1"))
    lines = ["--help", f"sweep {small}", "data show alkenes"]
    places = {"BENCH_DATA": os.environ["BENCH_DATA"], "BENCH_RUNS": str(public / ODD)}
    result = benches(lines, public, LC_ALL="C", PYTHONUTF8="0", **places)
    assert result.stderr == ""
    assert result.stdout.count("[0] ") == len(lines)
    assert " meV/A\n" in result.stdout
    assert result.stdout.isascii()
    (log,) = (public / ODD).rglob("log.txt")
    assert "done" in log.read_text(encoding="utf-8")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_is_said_to_be_of(public, encoding):
    result = benches(["data show alkenes"], public, PYTHONIOENCODING=encoding, BENCH_DATA=".")
    assert (result.stderr, result.stdout.count("[0] ")) == ("", 1)
    angstrom = {"ascii": "A", "latin-1": "\udcc5"}[encoding]
    assert f"(eV/{angstrom})" in result.stdout


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("forces / (meV/Å) ± ² — ✓", "forces / (meV/A) +/- 2 - ?"),
        ("José", "Jose"),
        ("水", "\\u6c34"),
        ("old name \udcff", "old name \\xff"),
        ("Jos\udcc3\udca9", "Jose"),
        ("\ud800", "\\ud800"),
    ],
)
def test_characters_that_a_terminal_does_not_know(text, expected):
    prepare()
    assert text.encode("ascii", "look-alike").decode() == expected


@pytest.mark.parametrize(
    ("command", "status", "expected"),
    [
        ("bench config > /dev/full", 1, "error: output: No space left on device"),
        ("bench config >&-", 0, ""),
        ("rmdir $PWD; bench config", 2, "error: the working folder was removed; go to another"),
    ],
)
def test_where_output_goes(tmp_path, command, status, expected):
    place = tmp_path / "place"
    place.mkdir()
    result = shell(command, place)
    assert result.returncode == status
    assert result.stderr.startswith(expected)
    assert result.stderr.count("\n") == bool(expected)


@pytest.mark.parametrize("command", ["bench config | true", "bench config | head -1"])
def test_a_reader_that_has_seen_enough(tmp_path, command):
    assert shell(command, tmp_path).stderr == ""


HOSTILE = "=1+[/x][red]\x1b[2J\x9b2J"
SHOWN = "=1+[/x][red]\\x1b[2J\\x9b2J"


def test_names_are_shown_and_steer_nothing(tmp_path, monkeypatch, capsys):
    frames = toy.frames(2, 40)
    frames = replace(frames, molecule=np.full(len(frames), HOSTILE))
    catalogue.register("tiny", frames, {"method": HOSTILE})
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("BENCH_RUNS", str(tmp_path / "runs [/x]\x1b[2J"))
    folder = run("trainer.epochs=1").folder
    sweep = {
        "title": HOSTILE,
        "baseline": HOSTILE,
        "common": list(OVERRIDES),
        "runs": [{"label": HOSTILE, "overrides": ["trainer.epochs=1"]}],
    }
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(sweep))
    for arguments in (
        ("data", "list"),
        ("data", "show", "tiny"),
        ("train", *asked("trainer.epochs=1")),
        ("status",),
        ("sweep", str(tmp_path / "own.yaml"), "--dry-run"),
        ("evaluate", str(folder.path)),
        ("tables", str(tmp_path / "own.yaml")),
        ("tables", str(tmp_path / "own.yaml"), "--format", "csv"),
        ("tables", str(tmp_path / "own.yaml"), "--format", "markdown"),
        ("train", f"data={HOSTILE}"),
    ):
        _, out, err = inside(monkeypatch, capsys, *arguments)
        assert not set("\x1b\x9b") & set(out + err)
        if arguments[0] in ("data", "evaluate", "tables"):
            assert SHOWN in out
    rows = next(folder.path.rglob("atomic_energies.csv")).read_text(encoding="utf-8")
    assert f"\n'{SHOWN}," in rows


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@x", "'@x"),
        ("-x", "'-x"),
        ("+1 2", "'+1 2"),
        ("-1.5", "-1.5"),
        ("CC=C", "CC=C"),
        ("\x1b[2J", "\\x1b[2J"),
    ],
)
def test_cells_of_csv_files(cell, written):
    table = csv_text(pd.DataFrame({"name": [cell], "=n": [-1.5]}))
    assert table == f"name,'=n\n{written},-1.5\n"
