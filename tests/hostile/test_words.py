"""What a person, or a script of another's, may type to do harm."""

from __future__ import annotations

import pytest

from deepset_bench.data import catalogue
from tests import toy
from tests.hostile.attempts import EVERY, attempt, check_harmless, check_refused, numbered, some
from tests.training.tiny import asked

ODD = ("../x", "a/b", "/none/x", "..", "x\ny", "x\x1b[31m", "a" * 300, "${oc.env:HOME}", "''")
"""Names that are no names."""
OVERRIDES = (
    *(f"{key}={name}" for key in ("name", "data", "scalars", "condition") for name in ODD[:7]),
    *("width=${oc.env:HOME}", "name=${oc.decode:1}", "width=${now:}", "name='${hydra:job.name}'"),
    *("+_target_=os.mkdir", "+model._target_=os.mkdir", "++trainer._target_=os.system"),
    *("hydra.run.dir=/tmp", "+hydra/launcher=joblib", "~trainer"),
    *("width=1e18", "width=9223372036854775808", "width=1000000000", "rbf.size=1000000000"),
    *("gating.experts=1000000000", "gnn=gat gnn.layers=1000000000", "stack=1000000000"),
    *("cutoff=1e308", "cutoff=nan", "cutoff=-1", "trainer.batch_size=0", "trainer.epochs=-1"),
    *("trainer.learning_rate=nan", "trainer.learning_rate=inf", "trainer.energy_weight=nan"),
    *("data.train_size=1000000000000", "seed=-1", "seed=1e99", "threads=1000000000"),
    *("width=" + "[" * 2000, "width=" + "9" * 100_000, "scalars=[" + "sq," * 40_000 + "sq]"),
    *("=", "==", "width", "width=", "=\x1b[2J", "model.options.a.b.c=1"),
    *("init=/etc/passwd", "init=../..", "init=/dev/zero", "init=" + "a" * 5000),
    *("trainer.schedule.warmup_steps=1000000000000000000000",),
)
SWEEPS = (
    *("seed=range(1000000000)", "width=range(1,1000000000)", "seed=shuffle(range(1000000000))"),
    *("seed=glob(*)", "width=choice(" + "1," * 200_000 + "1)", "width=" + "(" * 2000),
    "width=1,2,3,4,5,6,7,8,9 cutoff=1,2,3,4,5,6,7,8,9 seed=range(2000)",
)


@pytest.fixture(autouse=True)
def tiny(own_folders):
    catalogue.register("tiny", toy.frames(3, 60, bias=0.5), {"method": "analytic"})


@pytest.mark.parametrize(
    "words", OVERRIDES if EVERY else OVERRIDES[::5], ids=lambda text: text[:30].encode().hex()[:24]
)
def test_overrides(tmp_path, words):
    ended = attempt(tmp_path, "train", *asked(), *words.split(" "))
    check_refused(ended)
    assert len(ended.err) < 2000
    made = {path.name for path in tmp_path.iterdir()}
    assert made <= {".out", ".err", ".memory", "data home", "runs"}


@pytest.mark.parametrize("words", SWEEPS, ids=lambda text: text[:30])
def test_sweeps(tmp_path, words):
    check_refused(attempt(tmp_path, "sweep", *asked(), *words.split(" "), "--dry-run"))


@pytest.mark.parametrize("number", ["1000000000", "-1", "0", "1e9", "nan", "9" * 400])
def test_numbers_of_seeds(tmp_path, number):
    ended = attempt(tmp_path, "sweep", *asked(), "--seeds", number, "--dry-run")
    check_harmless(ended)
    assert ended.status == 2


@numbered({repr(name)[:20]: name for name in ODD})
def test_names(tmp_path, number, attack):
    """Of runs, studies and files: nothing is made outside the folder that was named."""
    name = attack
    commands = (
        ("evaluate", name),
        ("status", name),
        ("tables", name),
        ("figures", name),
        ("report", name),
        ("export", name, "x.pt2"),
        ("check", name),
        ("rm", name),
        ("cancel", name),
        ("plan", name),
        ("log", "sync", name),
        ("results", "import", name),
        ("results", "export", name),
        ("data", "show", name),
        ("data", "fetch", name),
        ("data", "check", name),
    )
    for words in [*some(commands, 2 * number), *some(commands, 2 * number + 1)]:
        ended = attempt(tmp_path, *words)
        check_harmless(ended)
        assert ended.status in (1, 2), (words, ended)
    made = {path.name for path in tmp_path.iterdir()}
    assert made <= {".out", ".err", ".memory", "data home", "runs"}
