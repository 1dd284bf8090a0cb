"""Home folders: none, of any name, and left alone where nothing of them is needed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deepset_bench import composing, config
from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.evaluation import evaluate_command as evaluation
from deepset_bench.files import expanded
from deepset_bench.overrides import parse, quoted
from deepset_bench.readers.sources import expand
from deepset_bench.study.collect import Where
from deepset_bench.sweep.plan import plan
from tests import toy
from tests.surroundings.processes import ODD, SMALL, STRANGER, benches
from tests.test_cli import ROOT
from tests.training.tiny import OVERRIDES


def test_help_and_import_leave_the_home_folder_alone(tmp_path):
    watch = (
        "import sys\n"
        f"def hook(event, given):\n"
        f"    if any({str(tmp_path)!r} in str(one) for one in given): print(event, given)\n"
        "sys.addaudithook(hook)\n"
        "import deepset_bench\n"
        "from deepset_bench import cli\n"
        "sys.argv = ['bench', '--help']\n"
        "cli.main()\n"
    )
    (tmp_path / ".cache/deepset_bench/conf/data").mkdir(parents=True)
    result = subprocess.run(
        [sys.executable, "-s", "-c", watch],
        capture_output=True,
        text=True,
        env={"HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
    )
    assert "scalars: all, cub_sqrt" in result.stdout
    assert str(tmp_path) not in result.stdout + result.stderr


def test_a_user_without_a_home_or_a_name(stranger, own, public):
    place = public / "place"
    place.mkdir()
    os.chown(place, STRANGER, STRANGER)
    lines = [
        "--help",
        "config",
        f"data import own {own}",
        f"BENCH_DATA={place}/data",
        f"data import own {own}",
        f"train {' '.join(SMALL)}",
        "status",
    ]
    result = benches(lines, place, stranger)
    assert result.stderr.splitlines() == [
        "error: this user has no home folder; set BENCH_DATA to a folder for data"
    ]
    ended = [line for line in result.stdout.splitlines() if line.startswith("[")]
    assert ended == ["[0] --help", "[0] config", "[2] data", "[0] data", "[0] train", "[0] status"]
    assert "own: 60 frames" in result.stdout
    assert "1 run: 1 done" in result.stdout


names = st.text(
    st.sampled_from("aé字 .,:;=+-~!?#%&@*|<>()[]{}'\"\\`\t$"), min_size=1, max_size=12
).filter(lambda name: name not in (".", ".."))


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=names)
@example(name=ODD)
@example(name="~")
@example(name="a=b,[c]{d}'e\"")
def test_data_in_a_folder_of_any_name(tmp_path_factory, monkeypatch, name):
    # A folder an example: the same name may come twice.
    monkeypatch.setenv("BENCH_DATA", str(tmp_path_factory.mktemp("home") / name))
    catalogue.register("own", toy.frames(2, 3), {})
    for cached in (config._experiment, config._compose, composing._composed, composing._option):
        cached.cache_clear()
    assert experiment(["data=own"]).config.data.name == "own"
    assert catalogue.load("own").energy.shape == (3,)


def test_everything_in_a_folder_of_an_odd_name(own, public):
    """Clone, home, working folder and output: imported, trained, looked at."""
    home = public / ODD
    clone = home / "my [clone]"
    for folder in ("deepset_bench", "conf", "sweeps", "datasets"):
        shutil.copytree(ROOT / folder, clone / folder, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", clone)
    lines = [
        f"data import own {own}",
        f"train {' '.join(SMALL)}",
        "status",
        f"tables 2 {' '.join(SMALL)} --out 'out [/x]'",
    ]
    result = benches(lines, home, PYTHONPATH=str(clone), HOME=str(home))
    assert result.stderr == ""
    assert result.stdout.count("\n[0] ") == len(lines)
    assert (home / "out [/x]" / "table_2.txt").is_file()
    assert f"own: 60 frames in {home}/.local/share/deepset_bench/own" in result.stdout


@given(st.text(st.characters(exclude_characters="\0\n")))
def test_any_text_can_be_quoted(text):
    assert parse([f"logger.project={quoted(text)}"])[0].value() == text


@pytest.mark.parametrize(
    "name", [f"/{ODD}/runs", "~/runs", "/a[1]{2}", "/x=y", "/a b", '/"', "/e\\"]
)
def test_runs_in_a_folder_of_any_name(name):
    assert experiment([f"runs_dir={name}"]).config.runs_dir == name
    (again,) = Where((), Path(name)).dir
    assert experiment([again]).config.runs_dir == str(expanded(name))


def test_other_text_says_how_it_is_quoted():
    with pytest.raises(UserError, match=r"cannot read .* in quotes") as caught:
        experiment(["logger.project=a(b)"])
    advised = shlex.split(str(caught.value).partition("in quotes: ")[2])
    assert experiment([*advised, "logger=wandb"]).config.logger.project == "a(b)"


def test_paths_may_hold_what_overrides_hold(tmp_path, tiny):
    place = tmp_path / "k=1"
    place.mkdir()
    (place / "own.yaml").write_text(yaml.safe_dump({"title": "", "axes": {"seed": [3]}}))
    (only,) = plan([str(place / "own.yaml"), *OVERRIDES]).runs
    assert only.experiment.config.seed == 3
    assert evaluation.parse([str(place)], None).folders[0].path == place


def test_patterns_are_of_files_in_any_folder(tmp_path, monkeypatch):
    folder = tmp_path / "lab [1] *" / "run_1"
    folder.mkdir(parents=True)
    for name in ("part_10.pos", "part_2.pos"):
        (folder / name).touch()
    expected = [folder / "part_2.pos", folder / "part_10.pos"]
    assert expand(folder / "part_*.pos") == expected
    assert expand(folder.parent / "run_[0-9]" / "part_*.pos") == expected
    monkeypatch.chdir(folder)
    assert expand(Path("part_*.pos")) == [Path(path.name) for path in expected]
