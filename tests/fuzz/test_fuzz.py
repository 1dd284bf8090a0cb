"""A few of what `make fuzz` tries for minutes, and all that ever failed."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.kinds import CHANGES, CORPUS, KINDS, changed, soon

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("kind", KINDS)
def test_changed_files_are_read_right_or_refused(kind: str, tmp_path: Path) -> None:
    if kind == "hdf5":
        pytest.importorskip("h5py")
    attempt, sound = KINDS[kind]
    contents = sound(tmp_path)

    @settings(
        max_examples=25,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(CHANGES)
    def tried(changes) -> None:
        for content in contents:
            with soon(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                attempt(tmp_path, changed(content, changes))

    for content in contents:
        attempt(tmp_path, content)
    tried()


@pytest.mark.parametrize(
    "path", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}"
)
def test_what_once_failed(path: Path, tmp_path: Path) -> None:
    with soon():
        KINDS[path.parent.name][0](tmp_path, path.read_bytes())
