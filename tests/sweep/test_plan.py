"""What `bench sweep` lists: a product, each run once, whatever the order it is asked for in."""

from __future__ import annotations

import os
from math import prod
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench import surroundings
from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.errors import NotInstalled, UserError
from deepset_bench.files import resource
from deepset_bench.groups import groups
from deepset_bench.surroundings import STUDY
from deepset_bench.sweep import folders, studies
from deepset_bench.sweep.axes import combinations
from deepset_bench.sweep.plan import plan, trainable

axis = st.dictionaries(
    st.sampled_from(["gnn", "scalars", "trainer.epochs", "cutoff", "seed"]),
    st.lists(st.integers(1, 99).map(str), min_size=1, max_size=4, unique=True),
    min_size=1,
)


def names(*arguments: str, seeds: int | None = None) -> list[str]:
    return [run.name.removeprefix("but-2-ene/corrected/") for run in plan(arguments, seeds).runs]


@settings(max_examples=100, deadline=None)
@given(axes=axis, data=st.data())
def test_the_product_of_the_axes_in_any_order(axes, data):
    lines = [f"{key}={','.join(values)}" for key, values in axes.items()]
    listed = combinations(lines)
    assert len(listed) == prod(map(len, axes.values()))
    assert len(set(listed)) == len(listed)
    shuffled = data.draw(st.permutations(lines))
    assert {frozenset(c) for c in combinations(shuffled)} == {frozenset(c) for c in listed}
    for chosen in listed:
        assert [c.split("=")[0] for c in chosen] == list(axes)
        assert all(c.split("=")[1] in axes[c.split("=")[0]] for c in chosen)


@settings(max_examples=3, deadline=None)
@given(
    gnn=st.permutations(["none", "sage"]),
    scalars=st.permutations(["none", "cub_sqrt", "[x3,sqrt]"]),
    seeds=st.integers(1, 3),
)
def test_each_run_once_with_every_seed(gnn, scalars, seeds):
    lines = [f"gnn={','.join(gnn)}", f"scalars={','.join(scalars)}"]
    found = plan(lines, seeds)
    paths = [run.folder.path for run in found.runs]
    assert len(set(paths)) == len(paths) == 2 * 2 * seeds  # two lists are one
    assert found.repeated == 2 * seeds
    assert {run.folder.path for run in plan(lines[::-1], seeds).runs} == set(paths)
    assert [path.name for path in paths] == sorted(path.name for path in paths)  # seed by seed


def test_the_overrides_of_a_run_describe_it():
    for run in plan(["gnn=sage,edge", "rbf=glob(x3*)", "+scalars=none,[x4]"], 2).runs:
        described = experiment(run.overrides)
        assert (described.config, described.variant) == (
            run.experiment.config,
            run.experiment.variant,
        )


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("gnn=choice(sage,edge)", ["sage", "edge"]),
        ("gnn=sage", ["sage"]),
        ("cutoff=range(4,6)", ["4", "5"]),
        ("scalars=[x3],[x2,sqrt]", ["[x3]", "[x2,sqrt]"]),
        ("gnn=glob(*)", groups()["gnn"]),
        ("scalars=glob([sq*,cub*],exclude=*tes*)", ["cub_sqrt", "sq", "sq_cub"]),
        ("logger.project='a,b'", ["'a,b'"]),
    ],
)
def test_hydras_grammar(line, values):
    key = line.split("=")[0]
    assert combinations([line]) == [(f"{key}={value}",) for value in values]


@pytest.mark.usefixtures("tiny")
def test_glob_sees_imported_data():
    assert ("data=tiny",) in combinations(["data=glob(*)"])


def test_seeds_and_a_seed_axis():
    assert names("seed=3,1") == ["baseline/seed-3", "baseline/seed-1"]
    assert names(seeds=2) == ["baseline/seed-0", "baseline/seed-1"]


@pytest.mark.parametrize(
    ("arguments", "seeds", "expected"),
    [
        (["seed=1,2"], 2, "seed=1,2 and --seeds 2: give one of them"),
        (["stack=2"], None, "stack=2: a sweep takes --seeds N and --stack N instead"),
        (["cutoff=interval(1,2)"], None, "cannot be listed"),
        (["gnn=glob(zz*)"], None, "there is no such value"),
        (["cutoff=glob(*)"], None, "cutoff is not a group"),
        (["gnn=sage,egde"], None, "unknown option gnn=egde; did you mean edge"),
        (["gnn=sage,"], None, "cannot read override"),
        (["quik"], None, "unknown sweep 'quik' (overrides have an '='); did you mean quick?"),
        (["quick", "quick"], None, "name one sweep only"),
        (["quick", "cutoff=0,1"], None, "quick.yaml: No scalars: cutoff=0"),
    ],
)
def test_mistakes_are_one_line(arguments, seeds, expected):
    with pytest.raises(UserError) as caught:
        plan(arguments, seeds)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def write(folder: Path, text: str) -> str:
    (folder / "mine.yaml").write_text(text)
    return str(folder / "mine.yaml")


FILE = """
title: Two by two
table: 3
baseline: plain
common: [trainer.epochs=5]
runs:
  - {label: plain, overrides: []}
  - {label: sage, overrides: [gnn=sage]}
axes:
  scalars: [none, [x3, sqrt]]
"""


def test_a_file_with_runs_axes_and_overrides(tmp_path):
    path = write(tmp_path, FILE)
    assert (plan([path]).name, plan([path]).title) == (Path(path).stem, "Two by two")
    assert names(path) == [
        f"{variant}+trainer.epochs-5/seed-0".lstrip("+")
        for variant in ("", "cub_sqrt", "sage", "sage+cub_sqrt")
    ]
    assert names(path, "trainer.epochs=150", "cutoff=4,5", seeds=2)[:3] == [
        "cutoff-4.0/seed-0",
        "baseline/seed-0",
        "cub_sqrt+cutoff-4.0/seed-0",
    ]
    assert len(names("cutoff=4,5", path, seeds=3)) == 2 * 2 * 2 * 3


def test_axes_alone(tmp_path):
    path = write(tmp_path, "{title: t, axes: {gnn: [sage, gat], trainer.gradient_clip: [1, null]}}")
    assert len(names(path)) == 4


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("title:", "titel:", "unknown key 'titel'; did you mean title"),
        ("title: Two by two", "", "title is missing"),
        ("table: 3", "table: three", "table must be a number"),
        ("baseline: plain", "baseline: [plain]", "baseline must be text"),
        ("baseline: plain", "baseline: plane", "no run has the label of the baseline, 'plane'"),
        ("[trainer.epochs=5]", "trainer.epochs=5", "common: must be a list"),
        (
            "[trainer.epochs=5]",
            "[trainer.epochs: 5]",
            "common: {'trainer.epochs': 5} is not an overr",
        ),
        ("label: sage", "label: plain", "runs, entry 2: the label 'plain' is another run's"),
        ("label: sage", "lable: sage", "runs, entry 2: unknown key 'lable'; did you mean label"),
        ("label: sage", "label: 3", "runs, entry 2: must have a label"),
        (", overrides: [gnn=sage]", "", "runs, entry 2: must have a label (text) and overrides"),
        ("gnn=sage", "gnn=sgae", "sage, scalars=none: unknown option gnn=sgae; did you mean sage"),
        ("[none, [x3, sqrt]]", "none", "axes.scalars must be a list"),
        ("scalars: [", "sclars: [", "unknown group or key 'sclars'; did you mean scalars"),
        ("title:", "{title", "cannot be read"),
    ],
)
def test_a_mistake_in_a_file_names_file_and_key(tmp_path, old, new, expected):
    assert old in FILE
    path = write(tmp_path, FILE.replace(old, new))
    with pytest.raises(UserError) as caught:
        plan([path])
    assert str(caught.value).startswith(path)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "title: t", "{title: t, runs: []}"])
def test_a_file_without_runs(tmp_path, text):
    with pytest.raises(UserError, match=r"mine\.yaml: "):
        plan([write(tmp_path, text)])


@pytest.mark.parametrize("name", ["2", "table_2", "table_2.yaml", "sweeps/table_2.yaml"])
def test_own_sweeps_are_found_from_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study, one = studies.find(name)
    assert plan([name]).name == study.name  # a group of the study's runs in W&B
    assert (study.folder, one.name) == (resource("sweeps") / "badland_2025", "table_2")


@pytest.mark.parametrize("name", ["8", "elsewhere/table_2.yaml", "elsewhere/2"])
def test_a_name_that_is_none_gets_one_answer_from_every_command(name, tmp_path, monkeypatch):
    """In a folder that a person named, their slip is no sweep of the product's own."""
    monkeypatch.chdir(tmp_path)
    said = []
    for command in (lambda: plan([name]), lambda: studies.find(name)):
        with pytest.raises(UserError, match="unknown sweep") as caught:
            command()
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert "table_" in said[0]


def test_a_file_beside_me_is_meant_before_the_products_own(tmp_path, monkeypatch):
    """By a person alone: the report's own claims and figures keep to the product's."""
    write(tmp_path, "{title: t, axes: {gnn: [sage]}}")
    (tmp_path / "mine.yaml").rename(tmp_path / "moe.yaml")
    monkeypatch.chdir(tmp_path)
    assert plan(["moe"]).title == "t"
    assert studies.at_hand().comparisons["moe"].title != "t"


@pytest.mark.parametrize(
    ("study", "name"),
    [(one.name, name) for one in map(studies.read, folders.shipped()) for name in one.comparisons],
)
def test_own_sweeps_compose(study, name, monkeypatch):
    """Those on sets that a person has to fetch, too."""
    folder = resource("sweeps") / study
    monkeypatch.setenv(STUDY, str(folder))
    rows = studies.read(folder).comparisons[name].runs
    sets = {one for row in rows for one in experiment(row.overrides).config.sets}
    assert sets
    if sets <= set(catalogue.names()):
        assert plan([str(folder / f"{name}.yaml")]).runs


def test_runs_of_networks_that_are_not_installed_are_left_out(monkeypatch):
    monkeypatch.setattr(surroundings, "is_installed", lambda name: name == "torch-geometric")
    found, lines = trainable(plan(["model=schnet,painn,mace", "seed=0,1"]))
    assert [run.experiment.config.model.kind for run in found.runs] == ["schnet", "schnet"]
    how = "not installed: pip install 'deepset-bench[peers]'; its runs are left out"
    assert lines == [f"model=painn: {how}", f"model=mace: {how}"]
    with pytest.raises(NotInstalled, match=r"^model=mace: not installed: pip install '.*'$"):
        trainable(plan(["model=mace", "seed=0,1"]))


@pytest.mark.parametrize(
    ("word", "study"),
    [
        ("peers_larger", "peers"), ("sweeps/acac.yaml", "published"), ("quick", ""),
        ("peers_larger=1", ""), ("elsewhere/acac.yaml", ""),
    ],
)  # fmt: skip
def test_a_comparison_is_named_with_all_that_its_study_has(word, study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(STUDY, "")
    folders.enter(["sweep", word])
    assert Path(os.environ[STUDY]).name == study
