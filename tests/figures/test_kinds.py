"""Figures of another study: another molecule, rows of its own, no conditions."""

from __future__ import annotations

import json
from dataclasses import replace
from unittest.mock import ANY

import numpy as np
import pytest

from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.figures import effects, interactive
from deepset_bench.figures.asked import Entry
from deepset_bench.figures.defaults import default
from deepset_bench.figures.learning import of_size
from deepset_bench.figures.offered import Offer, build
from deepset_bench.figures.panels import Panel, Series, Sheet
from deepset_bench.figures.static import draw
from deepset_bench.figures.style import COLOURS, colours
from deepset_bench.runs import run_folder
from deepset_bench.study.collect import Where
from deepset_bench.study.effect import Change
from deepset_bench.sweep.comparisons import Comparison, Row
from tests import toy
from tests.figures.test_figures import numbers
from tests.study.folders import write, write_times
from tests.training.tiny import UNMOVED, asked, run

DATA = tuple(asked("trainer.epochs=2", *UNMOVED))
SHEET = Comparison(
    name="widths",
    title="Two widths",
    table=None,
    baseline="narrow",
    common=(),
    runs=(Row("narrow", ()), Row("cubes", ("scalars=cub_sqrt",))),
    seeds=(),
    file=("widths.yaml",),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two rows of two seeds on C3H6, a chain whose bonds turn."""
    root = tmp_path_factory.mktemp("kinds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_DATA", str(root / "data"))
        patch.setenv("BENCH_RUNS", str(root / "runs"))
        catalogue.register("tiny", toy.frames(3, 60), {})
        for seed in (0, 1):
            for row in SHEET.runs:
                run(*DATA, *row.overrides, f"seed={seed}")
    return root


@pytest.fixture
def made(home, monkeypatch):
    """Makes figures of the study."""
    monkeypatch.setenv("BENCH_DATA", str(home / "data"))
    monkeypatch.setenv("BENCH_RUNS", str(home / "runs"))

    def make(*listed: Entry, names=()):
        offer = Offer({"widths": SHEET}, listed or None)
        return build(offer, Where(DATA), ["corrected"], "mev", names)

    return make


def entry(kind, **keys):
    return Entry("x", kind, keys=keys, place="figures.yaml: x")


def traces(figure):
    return json.loads(figure.interactive().to_json())["data"]


def one_of(values) -> float:
    (value,) = numbers(values).tolist()
    return value


def test_a_study_that_lists_none_gets_what_suits_it(made):
    found = {figure.name: figure for figure in made()}
    assert list(found) == ["curves", "effects", "parity", "error_along"]
    for figure in found.values():
        assert figure.missing == []
        assert figure.caption.endswith(" Data: tiny.")
        assert "condition" not in figure.caption
        drawn = figure.draw()
        assert not any("corrected" in axes.get_title(loc="left") for axes in drawn.axes)
    assert "torsion" in found["error_along"].title
    assert "n = 2" in found["curves"].caption
    axes = [axes.get_ylabel() for axes in found["curves"].draw().axes]
    assert axes[:2] == ["energy MAE / meV", "forces MAE / (meV/Å)"]


def test_without_runs_the_curves_say_what_is_missing(tmp_path):
    (curves, effects_) = build(Offer({"widths": SHEET}), Where((), tmp_path), ["corrected"])
    assert curves.draw is None
    assert effects_.draw is None
    assert curves.missing


@pytest.mark.parametrize(
    ("coordinate", "axis"),
    [
        ("torsion:3-0-1-2", "|torsion 3-0-1-2| / degrees"),
        ("angle:0-1-2", "angle 0-1-2 / degrees"),
        ("distance:0-2", "distance 0-2 / Å"),
    ],
)
def test_errors_along_any_coordinate(made, coordinate, axis):
    (figure,) = made(entry("error_along", coordinate=coordinate, row="cubes"))
    axes = figure.draw().axes
    assert [one.get_xlabel() for one in axes] == [axis, axis]
    assert "cubes, one run (n = 1, seed 0)" in figure.caption
    frames = catalogue.load("tiny")
    whole = [t for t in traces(figure) if t["line"]["dash"] == "solid" and t["xaxis"] == "x"]
    x = numbers(whole[0]["x"])
    positions = frames.positions.reshape(60, 9, 3)
    if coordinate.startswith("torsion"):
        assert ((x % 10) == 5).all()
        return
    u, v = positions[:, 0] - positions[:, 1], positions[:, 2] - positions[:, 1]
    cosine = (u * v).sum(axis=1) / np.linalg.norm(u, axis=1) / np.linalg.norm(v, axis=1)
    d = np.linalg.norm(u - v, axis=1) if "distance" in coordinate else np.degrees(np.arccos(cosine))
    ends = np.quantile(d, np.linspace(0, 1, 6))  # as many frames between each two
    np.testing.assert_allclose(x, (ends[1:] + ends[:-1]) / 2)


def test_an_atom_that_is_not_there_leaves_one_figure_out(made):
    (figure,) = made(entry("error_along", coordinate="distance:0-99"))
    with pytest.raises(UserError, match="distance:0-99: there is no atom 99; C3H6 has atoms 0 to"):
        figure.draw()


def test_conformers_of_any_molecule_by_energy(made):
    (figure,) = made(entry("conformers"))
    titles = [axes.get_title() for axes in figure.draw().axes[:3]]
    energy = catalogue.load("tiny").energy
    found = [int(title.split("frame ")[1]) for title in titles]
    assert [title.split(":")[0] for title in titles] == ["lowest", "median", "highest"]
    assert energy[found[0]] < energy[found[1]] < energy[found[2]]
    folder = run_folder(experiment([*DATA]))
    with np.load(folder.split) as split:
        assert not set(found) & set(split["train"].tolist())


def test_conformers_along_a_coordinate(made):
    at = {"bent": 100.0, "nowhere": 5.0}
    (figure,) = made(entry("conformers", coordinate="angle:0-1-2", at={"bent": 110.0}, within=15.0))
    assert figure.draw().axes[0].get_title().startswith("bent: frame ")
    (figure,) = made(entry("conformers", coordinate="angle:0-1-2", at=at))
    with pytest.raises(UserError, match="no frame within 10 degrees of nowhere"):
        figure.draw()


def test_a_scan_has_energy_and_force_of_each_row(made):
    """The force is minus the slope of the energy."""
    (figure,) = made(entry("scan", path="bond:0-1", rows=["narrow", "cubes"], gfn1=False))
    found = traces(figure)
    assert [t["name"] for t in found] == ["narrow", "cubes", "narrow", "cubes"]
    t, energy = numbers(found[0]["x"]), numbers(found[0]["y"])
    force = numbers(found[2]["y"])
    middle = (energy[2:] - energy[:-2]) / (t[2:] - t[:-2])
    np.testing.assert_allclose(force[1:-1], -middle, atol=0.02 * np.abs(force).max())
    labels = [axes.get_ylabel() for axes in figure.draw().axes]
    assert labels == ["energy / meV", "force / (meV/Å)"]


def test_atomic_energies_are_about_the_mean_of_their_element(made):
    (figure,) = made(entry("atomic_energies"))
    found = {t["name"]: numbers(t["y"]) for t in traces(figure)}
    assert {name: len(y) for name, y in found.items()} == {"C": 3, "H": 6}
    assert all(abs(y.mean()) < 1e-3 * np.abs(y).max() for y in found.values())


def test_texts_of_a_list_are_filled_in(made):
    listed = Entry("x", "curves", "{sheet}!", "Of {data}, {seeds}, in {energy}.", {}, "here: x")
    (figure,) = made(listed)
    assert figure.title == "Two widths!"
    assert figure.caption == "Of tiny, n = 2, in meV. Data: tiny."


def limits(*means: float, half: float = 0.5):
    return effects._limits([Change(m / 100, (m - half) / 100, (m + half) / 100, 3) for m in means])


def test_what_is_far_outside_is_cut_and_the_axis_is_linear():
    assert limits(1.0, -2.0, 3.0) == pytest.approx((-2.86, 3.86))
    low, high = limits(1.0, -2.0, 3.0, 4000.0)
    assert low == pytest.approx(-2.86)
    assert 3.5 < high < 10
    low, high = limits(1.0, -2.0, 3.0, 8.0)
    assert high > 8  # not so far
    assert effects._limits([]) is None


def test_a_cut_is_an_arrow_with_its_number(made, monkeypatch):
    monkeypatch.setattr(effects, "_limits", lambda *_: (-1e-9, 1e-9))
    (figure,) = made(entry("effects"))
    drawn = figure.draw()
    (text,) = [text.get_text() for text in drawn.axes[0].texts]
    (shift,) = numbers(traces(figure)[0]["x"])
    assert text == f"{shift:+,.0f}".replace("-", "−")
    assert any(text in note.text for note in figure.interactive().layout.annotations)
    assert drawn.axes[0].get_xscale() == "linear"


def test_which_side_is_better_follows_the_metric():
    class Metric:
        def __init__(self, words, less):
            self.words, self.less_is_better = words, less

    error, score = Metric("error", True), Metric("score", False)
    assert effects._better([error]) == "Left of zero is better."
    assert effects._better([score]) == "Right of zero is better."
    assert effects._better([error, score]) == (
        "Left of zero is better for error, right of it for score."
    )


@pytest.mark.parametrize("level", [1.0, 30.0])
def test_an_inset_hides_no_line(level):
    """Lines far apart: there is room for it only above all of them."""
    x = np.arange(1.0, 101.0)
    lines = [Series(name, x, y + 0 * x, "#000000") for name, y in (("a", level), ("b", 1e-3))]
    drawn = draw_one(Panel("epoch", "y", lines, scales=("linear", "log"), tail=80.0))
    (inset,) = drawn.axes[0].child_axes
    bottom = inset.get_position().y0
    low, high = np.log(drawn.axes[0].get_ylim())
    box = drawn.axes[0].get_position()
    for y in (level, 1e-3):
        height = box.y0 + (np.log(y) - low) / (high - low) * box.height
        assert height < bottom


def draw_one(panel):
    figure = draw(Sheet([[panel]], 3.3, 2.7))
    figure.draw_without_rendering()
    return figure


def test_many_rows_have_colours_of_their_own():
    assert colours(3) == list(COLOURS[:3])
    assert len(set(colours(12))) == 12


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([[], ["scalars=sq"]], ["curves", "effects"]),
        ([["data.train_size=10"], ["data.train_size=20"]], ["learning"]),
        ([["data=pent-2-ene"], ["data=but-2-ene"]], ["curves"]),  # errors of different frames
        ([["task=none"], ["task=cis"]], ["curves"]),
    ],
)
def test_figures_that_suit_the_rows(lines, expected, tmp_path):
    rows = tuple(Row(f"row {n}", tuple(own)) for n, own in enumerate(lines))
    sheet = replace(SHEET, runs=rows, baseline="row 0")
    where = Where((), tmp_path)
    assert [entry.name for entry in default({"s": sheet}, where, ["corrected"], False)] == expected


def test_rows_alike_but_for_the_number_of_frames_are_one_line():
    rows = [("a, 10", "10"), ("b, 10 frames", "10"), ("a, 20", "20"), ("20", "20")]
    others = ([], ["scalars=sq"], [], ["scalars=all"])
    sheet = replace(
        SHEET,
        runs=tuple(
            Row(label, (*other, f"data.train_size={n}"))
            for (label, n), other in zip(rows, others, strict=True)
        ),
    )
    assert of_size(sheet) == {
        "a, 10": ("a", 10), "b, 10 frames": ("b", 10), "a, 20": ("a", 20), "20": ("all", 20),
    }  # fmt: skip


def test_epochs_may_follow_the_number_of_frames():
    lines = [(100, 40), (200, 20), (200, 10)]

    def of(*rows):
        runs = [
            Row(f"{n} at {e}", (f"data.train_size={n}", f"trainer.epochs={e}")) for n, e in rows
        ]
        return [variant for variant, _ in of_size(replace(SHEET, runs=tuple(runs))).values()]

    assert len(set(of(*lines[:2]))) == 1
    assert len(set(of(*lines))) == 3


def test_of_many_runs_without_curves_one_line_is_said(tmp_path):
    sheet = replace(
        SHEET, runs=tuple(Row(f"width {n}", (f"width={n}",)) for n in (8, 16, 24, 32)),
        baseline="width 8",
    )  # fmt: skip
    for row in sheet.runs:
        write(tmp_path, [*row.overrides, "condition=corrected"], 0, 0.01)
    offer = Offer({"widths": sheet}, [entry("curves")])
    (figure,) = build(offer, Where((), tmp_path), ["corrected"])
    assert figure.missing == [("widths: of 4 runs the results were kept, and no curves", "")]


@pytest.mark.parametrize(("high", "n"), [(150.0, 2), (900.0, 3), (1e5, 0)])
def test_a_log_axis_in_a_browser_always_has_numbers(high, n):
    """Values from 100: ticks within them, or decades."""
    x = np.array([1.0, 2.0])
    line = Series("a", x, np.array([100.0, high]), "#000000")
    figure = interactive.draw(Sheet([[Panel("x", "y", [line], scales=("linear", "log"))]], 3, 3))
    if not n:
        assert figure.layout.yaxis.dtick == 1
    else:
        ticks = figure.layout.yaxis.tickvals
        assert len([tick for tick in ticks if 100 <= tick <= high]) >= n


def test_errors_against_what_a_step_costs(made, home):
    """Nothing without times; with them what one chooses by comes first, with a line of the best."""
    without = made(entry("cost"))[0]
    assert without.draw is None
    assert ("wall times of training steps: not measured", ANY) in without.missing
    place = write_times(
        home / "runs", SHEET, "corrected", {"narrow": [2.0] * 8, "cubes": [4.0] * 8},
        overrides=DATA,
    )  # fmt: skip
    try:
        assert next(figure.name for figure in made()) == "cost"
        figure = made(entry("cost", metrics=["forces_mae"]))[0]
        line, *points = traces(figure)
        assert {one["name"]: one_of(one["x"]) for one in points} == {"narrow": 2, "cubes": 4}
        assert all(one["mode"] == "markers+text" for one in points)
        errors = {one["name"]: one_of(one["y"]) for one in points}
        best = ["narrow"] + ["cubes"] * (errors["cubes"] < errors["narrow"])
        assert numbers(line["y"]).tolist() == [errors[name] for name in best]
        assert figure.draw().axes[0].get_xlabel() == "time of a training step / ms"
    finally:
        place.unlink()


def test_on_a_busy_machine_cost_is_a_ratio(made, home):
    place = write_times(
        home / "runs", SHEET, "corrected", {"narrow": [2.0] * 8, "cubes": [5.0] * 8},
        overrides=DATA, waited=0.5,
    )  # fmt: skip
    try:
        _, *points = traces(made(entry("cost", metrics=["forces_mae"]))[0])
        found = {one["name"]: one_of(one["x"]) for one in points}
        assert found == {"narrow": 1, "cubes": 2.5}
    finally:
        place.unlink()
