"""Whatever is written to be read back has a version; what has a newer one is refused in a line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from deepset_bench import file_version
from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.data.splits import Split
from deepset_bench.errors import UserError
from deepset_bench.runs import RunFolder, run_folder
from deepset_bench.scoring.frame_errors import FrameErrors
from deepset_bench.training import checkpoint
from tests.test_cli import inside
from tests.training.tiny import asked

pytestmark = pytest.mark.usefixtures("tiny")
CPU = torch.device("cpu")
SHORT = "trainer.epochs=1"
NEWER = "a newer version of this program wrote it (layout 2, known here up to 1); update it: pip"


@pytest.fixture
def bench(monkeypatch, capsys):
    return lambda *words: inside(monkeypatch, capsys, *words)


@pytest.fixture
def folder(bench) -> RunFolder:
    assert bench("train", *asked(SHORT))[0] == 0
    return run_folder(experiment(asked(SHORT)))


def given(path: Path, version: object) -> None:
    """Put a version into a file; None takes it away, as earlier releases wrote it."""
    if path.suffix == ".npz":
        arrays = dict(np.load(path))
        assert arrays.pop("schema") == file_version.VERSION
        np.savez(path, **arrays, **({} if version is None else {"schema": np.array(version)}))
        return
    if path.suffix == ".pt":
        content, write = torch.load(path, weights_only=True), lambda whole: torch.save(whole, path)
    else:
        module = json if path.suffix == ".json" else yaml.CSafeLoader
        text = path.read_text()
        content = json.loads(text) if module is json else yaml.safe_load(text)
        write = lambda whole: path.write_text(  # noqa: E731
            json.dumps(whole) if module is json else yaml.safe_dump(whole, sort_keys=False)
        )
    assert content.pop("schema") == file_version.VERSION
    write(content if version is None else {"schema": version, **content})


FILES = ("status.json", "result.json", "config.yaml", "split.npz", "last.pt", "best.pt")


def read(folder: RunFolder, name: str) -> object:
    path = folder.path / name
    return {
        "status.json": folder.status,
        "result.json": folder.result,
        "config.yaml": folder.settings,
        "split.npz": lambda: Split.load(path),
        "held_out.npz": lambda: FrameErrors.load(path),
        "last.pt": lambda: checkpoint.load_last(path, CPU),
        "best.pt": lambda: checkpoint.load_best(path, CPU),
    }[name]()


def test_a_run_of_files_without_versions_is_read_and_done(bench, folder):
    before = {name: read(folder, name) for name in ("status.json", "result.json", "config.yaml")}
    held_out = [folder.held_out.name] * folder.held_out.exists()
    for name in (*FILES, *held_out):
        given(folder.path / name, None)
        read(folder, name)
    assert {name: read(folder, name) for name in before} == before
    assert "already done" in bench("train", *asked(SHORT))[1]
    assert bench("evaluate", str(folder.path))[0] == 0


def test_a_run_of_a_newer_version_is_counted_as_damaged_and_left_alone(bench, folder):
    for name in FILES:
        given(folder.path / name, 2)
    for name in ("split.npz", "last.pt", "best.pt"):
        with pytest.raises(UserError) as caught:
            read(folder, name)
        assert f"{folder.path / name}: " in str(caught.value)
        assert NEWER in str(caught.value)
    assert (folder.status()["state"], folder.result()["status"]) == ("damaged", "damaged")
    assert folder.settings() == {}
    status, out, err = bench("status")
    assert (status, err) == (0, "")
    assert "1 run: 1 damaged" in " ".join(out.split())
    assert "a newer version of this program wrote it" in " ".join(out.split())
    before = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    for words in (("train", *asked(SHORT)), ("evaluate", str(folder.path))):
        status, out, err = bench(*words)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert NEWER in err
    assert bench("sweep", *asked(SHORT), "--seeds", "1")[0] == 1
    after = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    assert {k: v for k, v in after.items() if not k.startswith(".")} == {
        k: v for k, v in before.items() if not k.startswith(".")
    }


@pytest.mark.parametrize("version", [0, -1, True, "1", None, [1], 1.5, {}])
def test_what_is_no_version_is_damage(folder, version):
    path = folder.path / "result.json"
    path.write_text(json.dumps({**folder.result(), "schema": version}))
    assert "its version is" in folder.result()["reason"]


def test_a_set_has_one_and_its_checksum_does_not_change(bench, own_folders):
    sheet = next((own_folders / "data home").glob("tiny/datasheet.yaml"))
    before = catalogue.checksum("tiny")
    given(sheet, None)
    assert catalogue.checksum("tiny") == before
    sheet.write_text("schema: 2\n" + sheet.read_text())
    with pytest.raises(UserError) as caught:
        catalogue.load("tiny")
    assert f"{sheet}: {NEWER}" in str(caught.value)


def test_the_identity_of_a_run_knows_nothing_of_versions(folder, monkeypatch):
    monkeypatch.setattr(file_version, "VERSION", 2)
    assert folder.identity() == experiment(asked(SHORT)).identity(catalogue.checksum("tiny"))
    assert folder.result()["status"] == "done"
