"""The table of docs/architecture.md: one file, dropped into a copy of the package, and it works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_cli import ROOT
from tests.training.tiny import asked

HEAD = "from deepset_bench.variants import {kind}\n\n"
LAYER = """import torch
from torch import nn


@graph_layer("gin")
def gin(width: int) -> nn.Module:
    class Linear(nn.Linear):
        def forward(self, x, edge_index):
            return super().forward(x)

    return Linear(width, width)
"""
NETWORK = """import torch
from torch import nn


@model("pairs")
class Pairs(nn.Module):
    def __init__(self, width: int = 4, *, cutoff: float):
        super().__init__()
        self.out = nn.Linear(1, 1)
        self.cutoff = cutoff

    def forward(self, numbers, vectors, edge_index):
        fade = (1 - vectors.norm(dim=-1) / self.cutoff).clamp(min=0)[:, None] ** 3
        each = self.out(fade) * fade
        return torch.zeros(len(numbers)).index_add(0, edge_index[1], each.squeeze(-1))
"""
READER = """from ase import Atoms

from deepset_bench.readers.ase_files import from_images


@reader("mine", begins=rb"MINE")
def read(path, name, options, unlabelled):
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 0.7]], info={"energy": -31.0})
    atoms.set_array("forces", atoms.positions * 0)
    return from_images([atoms] * 3, path, name, options, unlabelled)
"""
EXECUTOR = """from deepset_bench.errors import UserError


@executor("nowhere")
def nowhere(runs, jobs, stack, settings):
    raise UserError(f"nowhere was asked for {len(runs)} runs")
"""
METRIC = """@metric("worst", unit="kJ/mol", less_is_better=False)
def worst(predictions, labels, run):
    return abs(predictions.energy - labels.energy).max()
"""
FILES = {
    "a graph layer": ("model/deepset/layers/gin.py", "graph_layer", LAYER),
    "a network": ("model/pairs/network.py", "model", NETWORK),
    "a metric": ("scoring/worst.py", "metric", METRIC),
    "a reader": ("readers/mine.py", "reader", READER),
    "an executor": ("sweep/executors/nowhere.py", "executor", EXECUTOR),
}
SMALL = asked("gnn=gin", "trainer.epochs=1")
PAIRS = ["model=pairs", "trainer.epochs=1", "data=tiny", "data.train_size=8", "data.val_size=4"]
COMMANDS = {
    "a graph layer": (["train", *SMALL], 0, "best epoch 1 of 1"),
    "a network": (["train", *PAIRS, "data.test_size=4"], 0, "best epoch 1 of 1"),
    "a metric": (["tables", "1", "--metric", "worst"], 0, "worst in kJ/mol, mean of test and val"),
    "a reader": (["data", "import", "h2", "{here}/file.dat"], 0, "3 frames"),
    "an executor": (["sweep", *asked(), "executor=nowhere"], 2, "nowhere was asked for 1 run"),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The package as a checkout has it, and one file more for each of FILES."""
    clone = tmp_path_factory.mktemp("copy")
    for folder in ("deepset_bench", "conf", "sweeps"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, clone / folder, ignore=ignored)
    shutil.copytree(ROOT / "datasets", clone / "datasets")
    shutil.copy(ROOT / "pyproject.toml", clone)
    for place, kind, text in FILES.values():
        file = clone / "deepset_bench" / place
        file.parent.mkdir(exist_ok=True)
        file.write_text(HEAD.format(kind=kind) + text)
    return clone


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("what", FILES)
def test_one_file(what, copy, tmp_path):
    (tmp_path / "file.dat").write_text("MINE\n")
    words, status, said = COMMANDS[what]
    done = subprocess.run(
        [sys.executable, "-m", "deepset_bench.cli", *(w.format(here=tmp_path) for w in words)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, said in done.stdout + done.stderr) == (status, True), done.stderr


def test_the_table_says_where():
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = dict(
        re.findall(r"^\| (an? [\w ]+?)(?:, an? \w+)? \| (.*?) \| 1(?: folder)? \|$", page, re.M)
    )
    for what, (place, *_) in FILES.items():
        folder = place.split("/")[0]
        assert folder in rows[what], what
