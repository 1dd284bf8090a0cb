"""Numbers of other networks below the runs that were scored on the same molecules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deepset_bench.errors import UserError
from deepset_bench.files import resource
from deepset_bench.study import generalisation
from deepset_bench.study.collect import Where
from deepset_bench.study.published import published
from deepset_bench.sweep import studies


def blocks(study, root, unit: str) -> dict[str, list[list[str]]]:
    page = generalisation.page(study, [""], unit, Where((), root))
    return {
        block.heading: [[cell.plain for cell in row] for row in block.rows] for block in page.blocks
    }


def test_the_shipped_study_shows_what_is_printed_without_a_run(tmp_path):
    found = blocks(studies.read(resource("sweeps") / "published"), tmp_path, "mev")
    hot = found["Acetylacetone, 300 K to 600 K: RMSE in meV and meV/Å"]
    assert hot[0] == ["DeepSet", "0", "—", "—", "—"]
    assert hot[-1] == ["MACE", "", "4.6", "—", "22.4"]
    scan = found["Acetylacetone, the torsion: RMSE in meV and meV/Å"]
    assert {row[1] for row in scan} == {"0"}


def test_headings_name_the_condition_where_there_are_several(tmp_path):
    study = studies.read(resource("sweeps") / "published")
    page = generalisation.page(study, ["corrected", "report"], "mev", Where((), tmp_path))
    headings = [block.heading for block in page.blocks]
    assert "Acetylacetone, the torsion, report: RMSE in meV and meV/Å" in headings
    assert len(set(headings)) == len(headings)


def test_a_misspelt_number_is_refused(tmp_path):
    path = tmp_path / "published.yaml"
    path.write_text("acac/x:\n  columns: [{label: MACE, ood_energy_rmsd: 1}]\n")
    study = replace(studies.read(resource("sweeps") / "published"), folder=tmp_path)
    with pytest.raises(UserError, match=r"unknown key 'ood_energy_rmsd'.*ood_energy_rmse"):
        published(study)
