"""Which study a command line is about, and what is said of a set without frames."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepset_bench.surroundings import STUDY
from tests.test_cli import inside


@pytest.mark.parametrize("words", [("sweep", "--dry-run"), ("tables",)])
def test_a_study_of_the_program_has_its_options_wherever_one_stands(
    words, monkeypatch, capsys, tmp_path, own_folders
):
    monkeypatch.setenv(STUDY, "")
    monkeypatch.chdir(tmp_path)
    status, out, err = inside(monkeypatch, capsys, words[0], "report_trajectory", *words[1:])
    assert (status, out) == (2, "")
    assert err.startswith("error: the frames of 'report-but-2-ene")
    assert err.endswith(".yaml says where from\n")
    option = err.split("not here; ")[1].split(" says")[0]
    assert "# To get it: bench data " in Path(option).read_text(encoding="utf-8")
