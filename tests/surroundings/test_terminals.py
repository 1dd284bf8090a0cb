"""What a terminal or a reader of the output can do."""

from __future__ import annotations

import os

import pytest

from deepset_bench.surroundings import prepare
from tests.surroundings.processes import ODD, benches, shell
from tests.training.tiny import OVERRIDES


def test_a_terminal_of_ascii(public, tiny):
    small = " ".join((*OVERRIDES, "trainer.epochs=1"))
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
        ("old name \udcff", "old name \\udcff"),
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
