"""Run folders and tables of results that others made to do harm, read by every command."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.runs import RunFolder, run_folder
from tests import toy
from tests.hostile.attempts import (
    EVERY,
    Ended,
    Words,
    attempt,
    check,
    check_harmless,
    check_refused,
    numbered,
    some,
)
from tests.training.tiny import asked, run_seeds

SHORT = "trainer.epochs=1"
ESCAPE = "\x1b[2J\x9b2J\u202e\r<script>alert(1)</script>=1+1|$\\input{x}"


class Touch:
    """Its pickle makes a folder."""

    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Iterator[Path]:
    """A folder with a set and two done runs of it."""
    home = tmp_path_factory.mktemp("sound")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_DATA", str(home / "data home"))
        patch.setenv("BENCH_RUNS", str(home / "runs"))
        patch.setattr("deepset_bench.training.loop.CHECKPOINT_SECONDS", 0.0)
        catalogue.register("tiny", toy.frames(3, 60, bias=0.5), {"method": "analytic"})
        run_seeds(SHORT, seeds=(0, 1))
        (home / "mine.yaml").write_text(
            json.dumps(
                {
                    "title": "Mine",
                    "baseline": "plain",
                    "common": [*asked(SHORT), "condition=corrected"],
                    "runs": [{"label": "plain", "overrides": []}],
                }
            )
        )
        yield home


@pytest.fixture
def folder(sound, tmp_path) -> RunFolder:
    """The first run of a copy of it, which is where the environment says."""
    for path in sound.iterdir():
        if path.is_dir():
            shutil.copytree(path, tmp_path / path.name)
        elif not path.name.startswith("."):
            shutil.copy(path, tmp_path)
    return run_folder(experiment(asked(SHORT)))


def every_reader(home: Path, run: Path, number: int) -> dict[str, Ended]:
    """How commands that read a folder of runs end."""
    commands = {
        "status": ("status",),
        "sweep": ("sweep", *asked(SHORT), "--seeds", "2", "--dry-run"),
        "tables": ("tables", "mine.yaml"),
        "csv": ("tables", "mine.yaml", "--format", "csv"),
        "latex": ("tables", "mine.yaml", "--format", "latex"),
        "report": ("report", "mine.yaml", "--out", "report.html"),
        "export": ("results", "export", "table.csv"),
        "evaluate": ("evaluate", str(run)),
    }
    named = {words: name for name, words in commands.items()}
    wanted: list[Words] = list(commands.values())
    return {named[words]: attempt(home, *words) for words in some(wanted, number)}


def check_nobody_stopped(home: Path, ended: dict[str, Ended]) -> None:
    for name, one in ended.items():
        check_harmless(one)
        assert one.err.count("\n") <= 4, (name, one)  # a line for each of what is left out
        if name != "evaluate":
            assert one.status == 0, (name, one)
        if name == "status":
            assert "1 done" in one.out or "2 done" in one.out
    assert not (home / "harm").exists()


def zip_of(members: dict[str, bytes], path: Path, packed: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", packed) as archive:
        for name, content in members.items():
            archive.writestr(f"best/{name}", content)


def changed(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        content = torch.load(path, weights_only=True)
        change(content)
        torch.save(content, path)

    return make


def with_code(path: Path) -> None:
    zip_of({"data.pkl": pickle.dumps(Touch()), "version": b"3\n", "byteorder": b"little"}, path)


def packed_zeros(path: Path) -> None:
    """What unpacks to a thousand times its size."""
    with zipfile.ZipFile(path) as archive:
        members = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    members["data/0"] = bytes(2**29)
    zip_of(members, path, zipfile.ZIP_DEFLATED)


def laughs(kind: type = list, levels: int = 60) -> Any:
    """A few that are in each other so often that nobody can go through all of them."""
    found = kind(["ha"])
    for _ in range(levels):
        found = kind([found, found])
    return found


def deep() -> list:
    found: list = []
    for _ in range(200):
        found = [found]
    return found


def with_key(path: Path) -> None:
    """As PyTorch writes it, but for the key: an empty tuple, in tuples in tuples."""
    tuples = b")" + b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(60))
    pickled = b"\x80\x02}" + tuples + b"K\x01s."
    zip_of({"data.pkl": pickled, "version": b"3\n", "byteorder": b"little"}, path)


CHECKPOINTS: dict[str, Callable[[Path], object]] = {
    "a bare pickle": lambda path: path.write_bytes(pickle.dumps(Touch())),
    "a pickle in its archive": with_code,
    "the older kind, with code": lambda path: torch.save(
        Touch(), path, _use_new_zipfile_serialization=False
    ),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-300]),
    "empty": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(bytes(range(256)) * 40),
    "packed zeros": packed_zeros,
    "no tensors": changed(lambda saved: saved.update(potential={"a": 1})),
    "few numbers as many": changed(
        lambda saved: saved.update(potential={"x": torch.zeros(1).expand(10**12)})
    ),
    "other shapes": changed(
        lambda saved: saved.update(
            potential={k: v.new_zeros(3) for k, v in saved["potential"].items()}
        )
    ),
    "other names": changed(
        lambda saved: saved.update(potential={f"{k}x": v for k, v in saved["potential"].items()})
    ),
    "not a number": changed(
        lambda saved: saved["potential"].update(
            {k: v * float("nan") for k, v in saved["potential"].items() if v.is_floating_point()}
        )
    ),
    "repeated lists": changed(lambda saved: saved.update(epochs=laughs())),
    "a key without an end": with_key,
    "lists in lists": changed(lambda saved: saved.update(epochs=deep())),
    "repeated lists elsewhere": changed(lambda saved: saved.update(reference=laughs())),
    "escapes": changed(
        lambda saved: saved.update(epochs=ESCAPE, potential={ESCAPE: torch.zeros(1)})
    ),
    "a version to come": changed(lambda saved: saved.update(schema=10**6)),
    "no version": changed(lambda saved: saved.update(schema=ESCAPE)),
}


@numbered(CHECKPOINTS)
def test_checkpoints(folder, tmp_path, number, attack):
    attack(folder.best)
    commands = (
        ("evaluate", str(folder.path)),
        ("export", str(folder.path), "potential.pt2"),
        ("check", str(folder.path)),
        ("train", *asked(SHORT), f"init={folder.path}", "name=next"),
    )
    for words in some(commands, number // 2) if EVERY or number % 2 else ():
        ended = attempt(tmp_path, *words)
        if words[0] == "check" and ended.out:  # whose findings are what is wrong with a model
            check_harmless(ended)
            assert ended.status == 1
            assert "defect" in ended.out
        else:
            check_refused(ended)
    if EVERY or number % 2 == 0:
        (folder.path / "result.json").unlink()
        attack(folder.last)
        check_refused(attempt(tmp_path, "train", *asked(SHORT)))
    assert not (tmp_path / "harm").exists()


def test_a_checkpoint_of_another_run(folder, tmp_path):
    """Its numbers are not told under this run's name, though they would fit."""
    other = folder.path.with_name("seed-1")
    for name in ("best.pt", "last.pt"):
        shutil.copy(other / name, folder.path)
    ended = attempt(tmp_path, "evaluate", str(folder.path))
    check_refused(ended)
    assert "best.pt: does not fit config.yaml (it is of another run)" in ended.err
    (folder.path / "result.json").unlink()
    check_refused(attempt(tmp_path, "train", *asked(SHORT)))


def link(to: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.unlink()
        path.symlink_to(to)

    return make


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
RECORDS: dict[str, tuple[str, str | Callable[[Path], object]]] = {
    "a status of escapes": ("status.json", json.dumps({"state": ESCAPE, "run": "a", "reason": ""})),
    "a status that is deep": ("status.json", "[" * 10**6),
    "a status of digits": ("status.json", '{"state": ' + "9" * 10**6 + "}"),
    "a status that never ends": ("status.json", link("/dev/zero")),
    "a status of elsewhere": ("status.json", link("/etc/passwd")),
    "a result that is large": ("result.json", "[" + "0," * 2**23),
    "a result that is none": ("result.json", '{"status": "done"}'),
    "a result of escapes": (
        "result.json",
        json.dumps({"status": "diverged", "reason": ESCAPE, "run": ESCAPE, "schema": 1}),
    ),
    "a result to come": ("result.json", json.dumps({"status": "done", "schema": 2**60})),
    "settings of tags": ("config.yaml", "a: !!python/object/apply:os.mkdir [harm]\n"),
    "settings that repeat": ("config.yaml", LAUGHS),
    "settings that are deep": ("config.yaml", "{a: " * 10**5),
    "settings of the environment": ("config.yaml", "seed: 0\nname: ${oc.env:HOME}\n"),
    "settings of a target": ("config.yaml", "seed: 0\n_target_: os.mkdir\npath: harm\n"),
    "epochs of formulas": ("metrics.csv", "epoch,=1+1\n1,@x\n"),
    "epochs of escapes": ("metrics.csv", f"epoch,{ESCAPE}\n1,{ESCAPE}\n"),
    "epochs that never end": ("metrics.csv", link("/dev/zero")),
    "frames as objects": (
        "held_out.npz",
        lambda path: np.savez(path, frame=np.array([Touch()], dtype=object)),
    ),
    "a division as objects": (
        "split.npz",
        lambda path: np.savez(path, train=np.array([Touch()], dtype=object)),
    ),
}


@numbered(RECORDS)
def test_records(folder, tmp_path, number, attack):
    name, content = attack
    path = folder.path / name
    if callable(content):
        content(path)
    else:
        path.write_text(content)
    ended = every_reader(tmp_path, folder.path, number)
    check_nobody_stopped(tmp_path, ended)
    if "report" in ended:
        page = (tmp_path / "report.html").read_text()
        assert "<script>alert" not in page
        assert not {"\x1b", "\x9b", "\u202e"} & set(page)
    if "export" in ended:
        csv.field_size_limit(2**31 - 1)
        with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as stream:
            for row in csv.reader(stream):
                assert not any(cell.startswith(("=", "@", "+")) for cell in row)


def test_what_lies_beside_a_run(folder, tmp_path):
    """Files that nobody asked for: none is run, followed or a hindrance."""
    (folder.path / "variants").mkdir(exist_ok=True)
    (folder.path / "variants" / "evil.py").write_text("import os\nos.mkdir('harm')\n")
    (folder.path / "sitecustomize.py").write_text("import os\nos.mkdir('harm')\n")
    (folder.path / ".held").write_text("[" * 10**5)
    runs = tmp_path / "runs"
    for name, content in {
        "times/a.json": "[" * 10**5,
        "times/b.json": json.dumps({"schema": 9, "measured": ESCAPE}),
        f"times/{ESCAPE.replace('/', '')}.json": "{}",
        "submitted/a-20260101-000000-000000.json": "{}",
        "submitted/b-20260101-000000-000000.json": '{"job": 3, "tasks": [[{"folder": 1}]]}',
        "x/y/seeds-0-1/evaluation/a/evaluation.json": "[" * 10**5,
    }.items():
        (runs / name).parent.mkdir(parents=True, exist_ok=True)
        (runs / name).write_text(content)
    (runs / "around").symlink_to(runs)
    for number in range(1 if EVERY else 8):
        check_nobody_stopped(tmp_path, every_reader(tmp_path, folder.path, number))
    check_harmless(attempt(tmp_path, "train", *asked(SHORT)))
    assert not (tmp_path / "harm").exists()


def rows_of(*rows: list[str]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream).writerows(rows)
    return stream.getvalue().encode()


HEADING = ["table_version", "folder", "status.state", "status.run", "status.reason"]
TABLES = {
    **{
        f"a folder {name!r:.20}": rows_of(HEADING, ["1", name, "done", "ab", '""'])
        for name in (
            *("../../x", "/tmp/x", "a/../../x", "..", ".", "a//b", '"a\\u0000b"', '"a\\nb"'),
            '"\\u001b[2J"',
        )
    },
    "a version to come": rows_of(HEADING, ["2", "a", "done", "ab", '""']),
    "digits": rows_of(HEADING, ["9" * 5000, "a", "done", "ab", '""']),
    "deep": rows_of(HEADING, ["1", "a", "done", "ab", "[" * 10**5]),
    "objects": rows_of([*HEADING, "config.__class__"], ["1", "a", "done", "ab", '""', "[]"]),
    "a long cell": rows_of(HEADING, ["1", "a", "x" * 10**7, "ab", '""']),
    "a quote without an end": b'table_version,folder\n1,"' + b"x" * 10**7,
    "many columns": b"table_version" + b",folder" * 10**5 + b"\n",
    "files elsewhere": rows_of([*HEADING, "as_is"], ["1", "a", *[""] * 3, '{"../x": "harm"}']),
    "evaluations elsewhere": rows_of(
        [*HEADING, "seeds_as_one"], ["1", "a/b", "done", "ab", '""', '{"../../x": {}}']
    ),
}


@numbered(TABLES)
def test_tables_of_results(tmp_path, number, attack):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "t.csv").write_bytes(attack)
    table = "below/t.csv"
    commands = (("results", "import", table), ("tables", "1", "--results", table))
    for words in some(commands, number):  # tables reads the cells that it shows
        check(attempt(tmp_path, *words), words[0] == "tables")
    there = {path.name for path in tmp_path.iterdir()}
    assert there <= {"below", ".out", ".err", ".memory", "data home", "runs"}


def test_a_packed_table(tmp_path):
    with (tmp_path / "t.csv.gz").open("wb") as stream:
        block = gzip.compress(b"0" * 2**24)
        stream.write(block * 64)
    check_refused(attempt(tmp_path, "results", "import", "t.csv.gz"))
