"""What is read is a file, of a size that was looked at first; what is written follows no link."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from deepset_bench import bounds
from deepset_bench.composing import composed
from deepset_bench.config import experiment
from deepset_bench.config_file import load_config
from deepset_bench.data.splits import Split
from deepset_bench.errors import UserError
from deepset_bench.groups import option_folders
from deepset_bench.reading import read_yaml, yaml_of
from deepset_bench.results import stored
from deepset_bench.runs import RunFolder
from deepset_bench.scoring.frame_errors import FrameErrors
from deepset_bench.sweep.axes import combinations
from deepset_bench.sweep.status import last_epoch
from deepset_bench.training import checkpoint
from tests.study.folders import write

CPU = torch.device("cpu")
ENDLESS = ("pipe", "zero")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = write(tmp_path / "runs", [], 0, 0.02)
    made.write_status("done", "ab12")
    return made


def replace(path: Path, by: str) -> None:
    """Put what never ends in the place of a file."""
    path.unlink(missing_ok=True)
    if by == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")


@pytest.mark.parametrize("by", ENDLESS)
def test_records_that_never_end_are_damaged(folder, by):
    for name in ("status.json", "result.json", "config.yaml", "metrics.csv"):
        replace(folder.path / name, by)
    assert folder.status()["reason"] == "status.json is damaged (it is a pipe or a device)"
    assert folder.result()["status"] == "damaged"
    assert (folder.settings(), last_epoch(folder), folder.epochs()) == ({}, {}, "")
    with pytest.raises(UserError, match=r"result\.json is a pipe or a device"):
        folder.text("result.json")


@pytest.mark.parametrize("by", ENDLESS)
def test_files_that_never_end_are_one_line(folder, tmp_path, by):
    for name in ("config.yaml", "last.pt", "split.npz", "held_out.npz"):
        replace(folder.path / name, by)
    replace(tmp_path / "x.csv", by)
    for read in (
        lambda: load_config(folder.config),
        lambda: checkpoint.load(folder.last, CPU),
        lambda: Split.load(folder.split),
        lambda: FrameErrors.load(folder.held_out),
        lambda: stored.read(tmp_path / "x.csv"),
    ):
        with pytest.raises(UserError, match="is a pipe or a device"):
            read()


@pytest.mark.parametrize("digits", ["9" * 30, "9" * 5000, "-" + "9" * 19, "1e999"])
def test_numbers_that_no_result_has_are_damage(folder, digits):
    path = folder.path / "result.json"
    path.write_text(path.read_text().replace('"threads": 1', f'"threads": {digits}'))
    assert folder.result()["status"] == "damaged"
    folder.config.write_text(f"seed: {digits}\n")
    assert folder.settings() == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 200 + "]" * 200, "nested too deeply"),
        ("{a: " * 50_000, "nested too deeply"),
        ("a: &b [x, x]\nc: [*b, *b]\n", "repeats more than one value"),
        ("a: &a {b: *a}\n", "repeats more than one value"),
        ("&a [*a]\n", "repeats more than one value"),
        ("a: &b x\nc: &b [y]\nd: *b\n", "repeats more than one value"),
        ("a: " + "59:" * 500 + "1\n", "too many digits"),
        ("a: 0x" + "f" * 5000, "too many digits"),
        ("a: 1\na: 2\n", "given twice"),
        ("!!map x", "expected a mapping"),
        ("!!python/name:os.system", "could not determine a constructor"),
    ],
)
def test_yaml_that_blows_up_is_said_to(text, said):
    with pytest.raises(ValueError, match=said):
        yaml_of(text)


def test_yaml_of_ordinary_sheets_is_read():
    text = "a: &few data.train_size=300\nb: [*few, {c: [1, 1e-3]}]\nd: " + "x" * 500
    found = yaml_of(text)
    assert found["b"] == ["data.train_size=300", {"c": [1, "1e-3"]}]
    assert yaml_of("\n".join(f"- [a, {n}]" for n in range(200)))[199] == ["a", 199]


def test_a_bound_is_said_and_can_be_raised(tmp_path, monkeypatch):
    path = tmp_path / "large.yaml"
    path.write_text("a: " + "x" * bounds.SHEET)
    with pytest.raises(UserError, match=r"holds more than 0\.5 MiB; BENCH_LIMITS=2 doubles"):
        read_yaml(path)
    monkeypatch.setenv("BENCH_LIMITS", "2")
    assert len(read_yaml(path)["a"]) == bounds.SHEET
    monkeypatch.setenv("BENCH_LIMITS", "much")
    with pytest.raises(UserError, match="BENCH_LIMITS=much must be a number"):
        read_yaml(path)


@pytest.mark.parametrize("shape", [(10**12,), (2**62, 4), (-1,), (3,)])
def test_arrays_say_no_more_than_they_hold(tmp_path, shape):
    path = tmp_path / "split.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("train.npy", "w") as stream:
        header = {"descr": "<i8", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(bytes(16))
    with pytest.raises(UserError, match=r"not a readable split .*(says that it has|EOF)"):
        Split.load(path)


def test_arrays_that_unpack_to_far_more_than_is_there(tmp_path, monkeypatch):
    path = tmp_path / "split.npz"
    np.savez_compressed(path, train=np.zeros(2**20, dtype=np.int64))
    assert bounds.arrays(path)["train"].shape == (2**20,)
    monkeypatch.setattr(bounds, "_HARMLESS", 2**20)
    with pytest.raises(UserError, match="unpacks to more than"):
        Split.load(path)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(1).expand(10**12),
        torch.zeros(3, device="meta"),
        torch.zeros(3).to_sparse(),
    ],
    ids=["expanded", "meta", "sparse"],
)
def test_tensors_hold_their_numbers(tmp_path, tensor):
    content = {"potential": {"x": tensor}, "reference": {}, "epochs": 1, "run": "a"}
    torch.save(content, tmp_path / "best.pt")
    with pytest.raises(UserError, match=r"(x is|not a readable checkpoint)"):
        checkpoint.load_best(tmp_path / "best.pt", CPU)


@pytest.mark.parametrize("name", ["log.txt", ".lock", "evaluation", "wandb", "mlflow"])
def test_nothing_is_written_through_a_link(folder, tmp_path, name):
    (folder.path / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=f"{name}: is a link"):
        folder.lock()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "override",
    [
        "width=${oc.env:HOME}",
        "width=${${a}:HOME}",
        "name='${oc.env:HOME}'",
        "scalars=[${oc.env:HOME}]",
        "width=" + "[" * 3000,
        "width=" + "(" * 100,
        "seed=" + "9" * 5000,
        "width=9223372036854775808",
        "cutoff=1e308",
        "stack=1000000000",
        "gnn.layers=100000",
        "name=" + "a" * 200_000,
    ],
    ids=lambda text: text[:30],
)
def test_overrides_that_read_or_fill_the_machine_are_one_short_line(override):
    with pytest.raises(UserError) as caught:
        experiment([override])
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "override",
    ["seed=range(1000000000)", "seed=shuffle(range(1000000000))", "seed=sort(range(1000000000))"],
)
def test_ranges_are_counted_before_they_are_listed(override):
    with pytest.raises(UserError, match="over 100000"):
        combinations([override])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("width: ${oc.env:HOME}\n", "calls a resolver"),
        ('width: "$\\x7boc.env:HOME}"\n', "calls a resolver"),
        ("a: &a [x, x]\nb: [*a, *a]\n", "repeats more than one value"),
        ("width: " + "[" * 5000, "nested too deeply"),
    ],
)
def test_options_of_a_study_are_plain(tmp_path, monkeypatch, text, said):
    folders = [*option_folders(), tmp_path / "conf"]
    monkeypatch.setattr("deepset_bench.composing.option_folders", lambda: folders)
    monkeypatch.setattr("deepset_bench.groups.option_folders", lambda: folders)
    path = tmp_path / "conf" / "condition" / "mine.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        composed(("condition=mine",))


def test_a_configuration_of_others_is_not_looked_up(folder):
    folder.config.write_text(folder.config.read_text().replace("seed: 0", "seed: ${oc.env:HOME}"))
    with pytest.raises(UserError, match="not looked up"):
        load_config(folder.config)
