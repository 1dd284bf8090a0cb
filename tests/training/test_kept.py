"""Machine code of a step is made once: found again, never taken for another's, never half there."""

from __future__ import annotations

import os
import shutil
import threading
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from deepset_bench.training import kept as keeping
from deepset_bench.training.compiled import gradients, of_tensors
from deepset_bench.training.fingerprint import fingerprint
from deepset_bench.training.kept import folder, kept
from deepset_bench.training.lowering import library
from deepset_bench.training.step import with_targets

from .tiny import prepared

TABLE = torch.tensor([1.0, 10.0, 100.0])
X = torch.tensor([1.0, 2.0, 3.0])


def of_table(x):
    return (x * TABLE + 1.0).sin(), x.sum()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A library and its constants, compiled once."""
    found, constants = library(of_table, [X], lambda: None)
    return Path(shutil.copy(found, tmp_path_factory.mktemp("made") / "a.so")), constants


class Maker:
    """Counts how often it is asked."""

    def __init__(self, made):
        self.made, self.times = made, 0

    def __call__(self):
        self.times += 1
        time.sleep(0.05)
        return self.made


def assert_computes(step):
    for found, expected in zip(step([X]), of_table(X), strict=True):
        torch.testing.assert_close(found, expected)


def test_made_once(made):
    make = Maker(made)
    for _ in range(2):
        assert_computes(kept("a", make))
    assert make.times == 1
    assert_computes(kept("b", make))
    assert make.times == 2


def test_of_two_that_want_it_at_once_one_makes_it(made):
    make, steps = Maker(made), []
    both = [threading.Thread(target=lambda: steps.append(kept("a", make))) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert make.times == 1
    for step in steps:
        assert_computes(step)


@pytest.mark.parametrize("name", ["step.so", "constants.pt", "checksum.json"])
@pytest.mark.parametrize("damage", ["cut", "another", "gone"])
def test_a_damaged_entry_is_made_anew(name, damage, made):
    make = Maker(made)
    kept("a", make)
    file = folder() / "a" / name
    content = file.read_bytes()
    file.unlink()
    if damage != "gone":
        file.write_bytes(content[:-9] if damage == "cut" else content[:-9] + b"123456789")
    for _ in range(2):
        assert_computes(kept("a", make))
    assert make.times == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_where_nothing_can_be_written_it_is_computed_all_the_same(made):
    folder().mkdir(parents=True)
    folder().chmod(0o500)
    make = Maker(made)
    for _ in range(2):
        assert_computes(kept("a", make))
    assert make.times == 2


@pytest.mark.parametrize("place", ["none", "a file"])
def test_without_a_folder_it_is_computed_all_the_same(place, made, monkeypatch, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setattr(keeping, "folder", lambda: None if place == "none" else file)
    make = Maker(made)
    for _ in range(2):
        assert_computes(kept("a", make))
    assert make.times == 2


def test_what_was_used_last_is_kept(made, monkeypatch):
    monkeypatch.setattr(keeping, "MOST", 2)
    make = Maker(made)
    for age, key in enumerate("abc"):
        kept(key, make)
        if age < 2:
            os.utime(folder() / key, (age, age))
            kept("a", make)
    assert {path.name for path in folder().iterdir()} == {"a", "c", "a.lock", "c.lock"}


def of_step(*overrides):
    """The fingerprint of a training step."""
    setup, config = prepared(*overrides)
    setup.potential.train()
    ((batch, _),) = with_targets(setup.parts["train"], setup.loss, torch.arange(6))
    compute = gradients(setup.potential, setup.loss, config.trainer.gradient_clip)
    return fingerprint(of_tensors(compute, batch))


@pytest.mark.usefixtures("tiny")
def test_a_step_is_the_same_for_all_seeds_and_for_nothing_else():
    first = of_step("seed=0")
    assert of_step("seed=1") == first
    assert of_step("trainer.learning_rate=1e-5", "trainer.epochs=7") == first
    others = [
        "width=16",
        "trainer.gradient_clip=0.3",
        "trainer.forces_weight=0.5",
        "scalars=cub_sqrt",
        "cutoff=4",
        "condition=report",
        "form=reference",
    ]
    found = {first, *map(of_step, others)}
    assert len(found) == len(others) + 1


class Held(nn.Module):
    def __init__(self, held):
        super().__init__()
        self.held = held
        self.weight = nn.Parameter(torch.rand(2))
        self.register_buffer("scale", torch.rand(2))


def local(value):
    return lambda x: x * value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1.0, 1.0 + 1e-15),
        (1, True),
        ("1", 1),
        ([1, 2], (1, 2)),
        ({"a": 1}, {"a": 2}),
        (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0])),
        (torch.zeros(2, 3), torch.zeros(3, 2)),
        (torch.nn.functional.silu, torch.nn.functional.gelu),
        (local(1.0), local(2.0)),
        (partial(local, 1), partial(local, 2)),
        (nn.Linear(2, 3), nn.Linear(3, 2)),
        (nn.SiLU(), nn.Tanh()),
        (frozenset({1, 2}), frozenset({1, 3})),
        (slice(1, 2), slice(1, 3)),
    ],
)
def test_whatever_is_held_counts(one, other):
    assert fingerprint(Held(one)) == fingerprint(Held(one))
    assert fingerprint(Held(one)) != fingerprint(Held(other))


def test_what_holds_itself_is_described():
    one = Held([])
    one.held.append(one.held)
    assert fingerprint(one)


def test_what_cannot_be_described_is_refused():
    with pytest.raises(TypeError):
        fingerprint(Held(threading.Lock()))


def test_the_source_of_a_variant_of_ones_own_counts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "one_s_own_step.py"
    file.write_text("import its_helper\ndef step(x):\n    return x\n")
    (tmp_path / "its_helper.py").write_text("A = 1\n")
    import one_s_own_step

    before = fingerprint(one_s_own_step.step)
    assert fingerprint(one_s_own_step.step) == before
    (tmp_path / "its_helper.py").write_text("A = 2\n")
    assert fingerprint(one_s_own_step.step) != before
