"""`bench figures`: from runs on disk to files, on a few frames of but-2-ene."""

from __future__ import annotations

import base64
import json
import re
import shlex
from itertools import pairwise

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from deepset_bench import cli
from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.figures import interactive, static
from deepset_bench.figures.figure import Figure
from deepset_bench.figures.offered import build, of_study
from deepset_bench.figures.panels import NAME, Panel, Series, Sheet
from deepset_bench.figures.style import COLOURS, NARROW, POINT, WIDE, template
from deepset_bench.figures.words import axis, comparable, in_unit
from deepset_bench.replicate import Replicate
from deepset_bench.runs import RunFolder, run_folder
from deepset_bench.scoring.table import metrics
from deepset_bench.study.collect import Where
from deepset_bench.study.columns import Column
from deepset_bench.training.records import COLUMNS
from deepset_bench.units import HARTREE
from tests.study.folders import write
from tests.study.shipped import REPORT, asked_for
from tests.test_cli import inside
from tests.training.tiny import asked, run

DATA = tuple(asked("trainer.epochs=7"))
CONDITIONS = ("report", "corrected")
ONE = ("--condition", "corrected")
OWN = ["figure_7", "figure_12", "figure_15", "figure_16", "parity", "torsion", "experts"]
"""What the runs here are enough for; figures 8 and 13 differ from 7 and 12 in a name."""
UNIT = r" / (%|Ha|\(Ha/bohr\)|degrees|ps|Å|\(1/Å\))$"
DIMENSIONLESS = {"epoch", "training frames", "gate weight", "frame", ""}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Sixty frames of but-2-ene, and runs on them: two seeds of two variants."""
    root = tmp_path_factory.mktemp("figures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_DATA", str(root / "data"))
        patch.setenv("BENCH_RUNS", str(root / "runs"))
        shipped = catalogue.load("but-2-ene")
        chosen = np.linspace(0, len(shipped) - 1, 60).astype(int)
        catalogue.register("tiny", shipped.select(chosen), catalogue.datasheet("but-2-ene"))
        for condition in CONDITIONS:
            for lines in ([], ["scalars=cub_sqrt"]):
                for seed in (0, 1):
                    run(*DATA, f"condition={condition}", f"seed={seed}", *lines)
    return root


@pytest.fixture
def where(home, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(home / "data"))
    monkeypatch.setenv("BENCH_RUNS", str(home / "runs"))
    return Where(DATA)


BOTH = ["report", "corrected"]
LISTED = of_study(REPORT).listed or ()


def figures_of(*arguments, **others):
    return build(of_study(REPORT), *arguments, **others)


@pytest.fixture
def own(where):
    return {figure.name: figure for figure in figures_of(where, BOTH, names=OWN)}


def bench(*arguments: object) -> str:
    result = CliRunner().invoke(cli.app, ["figures", *map(str, arguments)])
    assert result.exit_code == 0, result.exception
    return result.stdout


def traces(figure: Figure) -> list[dict]:
    """What a browser gets."""
    assert figure.interactive is not None
    return json.loads(figure.interactive().to_json())["data"]


def numbers(values) -> np.ndarray:
    """plotly packs arrays as base64."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    return np.asarray(values)


def test_four_files_that_open_and_need_no_network(where, tmp_path):
    out = tmp_path / "a folder"
    text = bench("7", *DATA, "--out", out)
    names = {*(f"figure_7.{ending}" for ending in ("pdf", "png", "html", "txt")), "plotly.min.js"}
    assert {path.name for path in out.iterdir()} == names
    assert all(str(out / name) in text for name in names - {"plotly.min.js"})
    pdf = (out / "figure_7.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert b"/Subtype /Type3" not in pdf  # text in a font that journals take
    picture = matplotlib.image.imread(out / "figure_7.png")
    assert picture.shape[1] == pytest.approx(WIDE * 300, abs=2)
    assert picture[..., :3].std() > 0.05
    html = (out / "figure_7.html").read_text()
    assert re.findall(r'(?:src|href)="([^"]*)"', html) == ["plotly.min.js"]
    (figure,) = figures_of(where, BOTH, names=["7"])
    assert "Validation energy MAE per molecule in Ha over epochs" in figure.caption
    assert "(n = 2)" in figure.caption
    assert figure.caption.endswith("Data: tiny; conditions: as in the report, corrected.")
    assert figure.caption in html
    assert (out / "figure_7.txt").read_text() == f"{figure.title}\n\n{figure.caption}\n"
    assert str(run_folder(experiment(DATA)).path) in html


def test_the_same_runs_give_the_same_bytes(where, tmp_path):
    for name in "ab":
        bench("8", *DATA, "--out", tmp_path / name)
    for ending in ("pdf", "png", "html"):
        first, second = ((tmp_path / n / f"figure_8.{ending}").read_bytes() for n in "ab")
        assert first == second


def test_curves_are_the_metrics(where, own):
    """Mean over the two seeds, and their range as a band."""
    files = [RunFolder(run_folder(experiment([*DATA, f"seed={s}"])).path).metrics for s in (0, 1)]
    values = np.stack([pd.read_csv(path)["val_energy_mae_ev"] for path in files]) / HARTREE
    curves = [t for t in traces(own["figure_7"]) if t.get("name") == "No scalars"]
    assert len(curves) == 2  # as in the report, corrected
    assert not curves[1]["showlegend"]
    np.testing.assert_allclose(numbers(curves[1]["y"]), values.mean(axis=0))
    np.testing.assert_array_equal(numbers(curves[1]["x"]), np.arange(1, 8))
    bands = [t for t in traces(own["figure_7"]) if t.get("fill") == "toself"]
    assert len(bands) == 2 * 2
    expected = [*values.min(axis=0), *values.max(axis=0)[::-1]]
    np.testing.assert_allclose(numbers(bands[2]["y"]), expected)


@pytest.mark.parametrize("name", OWN)
def test_paper_and_browser(where, own, name):
    """Every axis has a quantity and a unit, the same in both; a column or two; legible text."""
    figure = own[name].draw()
    assert figure.get_figwidth() == WIDE
    shown = [axes for axes in figure.axes if axes.axison]
    assert all(axes.get_xlabel() for axes in shown)
    labels = {axes.get_xlabel() for axes in shown} | {axes.get_ylabel() for axes in shown}
    for label in labels - DIMENSIONLESS:
        assert re.search(UNIT, label), label
    texts = [t for a in shown for t in (*a.get_xticklabels(), *a.get_yticklabels(), *a.texts)]
    assert min(text.get_fontsize() for text in texts) >= POINT - 2
    layout = own[name].interactive().layout
    titles = {layout[key].title.text for key in layout if re.match(r"[xy]axis\d*$", key)}
    assert titles - {None, ""} == labels - {""}
    assert own[name].runs
    assert own[name].caption.endswith(".")


def test_energies_along_the_trajectory(where, own):
    """Points are marked by whether the run was trained on them, and are what evaluate says."""
    folder = run_folder(experiment([*DATA, "scalars=cub_sqrt"]))
    with np.load(folder.split) as split:
        trained = set(split["train"].tolist())
    found = {t["name"]: t for t in traces(own["figure_15"]) if t["xaxis"] == "x4"}
    assert set(found) == {"other frames", "training frames"}
    assert len(numbers(found["training frames"]["x"])) == len(trained) == 20
    assert len(numbers(found["other frames"]["x"])) == 40
    CliRunner().invoke(cli.app, ["evaluate", str(folder.path), "data=tiny"])
    series = pd.read_csv(folder.path / "evaluation" / "tiny" / "time_series.csv")
    rows = series[series.seen == "train"]
    errors = rows.energy_error_relative_ev.abs() / HARTREE
    np.testing.assert_allclose(numbers(found["training frames"]["y"]), errors, rtol=1e-6)
    np.testing.assert_allclose(numbers(found["training frames"]["x"]), rows.time_fs / 1000)


def test_conformers_are_what_they_are_called(where, own):
    title = own["figure_16"].draw().axes[0].get_title()
    assert re.fullmatch(r"cis: frame \d+, \d°", title)
    scenes = [t for t in traces(own["figure_16"]) if t["type"] == "scatter3d"]
    balls = [t for t in scenes if t["mode"] == "markers"]
    assert [len(t["text"]) for t in balls] == [12, 12, 12]
    carbons = [i for i, text in enumerate(balls[0]["text"]) if text.startswith("C")]
    ends = [np.stack([numbers(t[k]) for k in "xyz"], axis=1)[carbons] for t in balls]
    span = [max(np.linalg.norm(a - b) for a in p for b in p) for p in ends]
    assert span[0] < span[1] < span[2]  # cis, half-way, trans


def test_parity_has_no_training_frames(own):
    points = [t for t in traces(own["parity"]) if t["name"] == "frames not trained on"]
    assert [len(numbers(t["x"])) for t in points] == [40, 40, 40 * 36, 40 * 36]


def test_weights_of_the_experts_add_up(own):
    found = [t for t in traces(own["experts"]) if t["name"].startswith("expert")]
    assert len(found) == 2 * 2
    for two in (found[:2], found[2:]):
        np.testing.assert_allclose(sum(numbers(t["y"]) for t in two), 1, rtol=1e-5)


def test_effects_are_paired_differences(tmp_path):
    for seed, (base, other) in enumerate([(0.020, 0.015), (0.022, 0.016), (0.021, 0.0165)]):
        write(tmp_path, ["condition=corrected"], seed, base)
        write(tmp_path, ["condition=corrected", "scalars=cub_sqrt"], seed, other)
    write(tmp_path, ["condition=corrected", "scalars=all"], 0, 0.03)
    (figure,) = figures_of(Where((), tmp_path), ["corrected"], names=["effects"])
    filled, hollow = (t for t in traces(figure) if t["xaxis"] == "x" and t["mode"] == "markers")
    logs = np.log(np.array([0.015, 0.016, 0.0165]) / [0.020, 0.022, 0.021])
    (mean,) = numbers(filled["x"])
    assert mean == pytest.approx(100 * (np.exp(logs.mean()) - 1))
    half = 4.302652729911275 * logs.std(ddof=1) / np.sqrt(3)
    low, high = (100 * (np.exp(logs.mean() + end) - 1) for end in (-half, half))
    assert numbers(filled["error_x"]["array"]) == pytest.approx([high - mean])
    assert numbers(filled["error_x"]["arrayminus"]) == pytest.approx([mean - low])
    assert numbers(hollow["x"]) == pytest.approx([50.0])
    assert "error_x" not in hollow
    labels = [axes.get_xlabel() for axes in figure.draw().axes]
    assert labels == ["change of energy MAE / %", "change of forces MAE / %"]


def test_an_effect_without_a_ratio_is_named_and_a_caption_explains_what_is_there(tmp_path):
    for seed in (0, 1):
        write(tmp_path, ["condition=corrected"], seed, 0.02)
        write(tmp_path, ["condition=corrected", "scalars=cub_sqrt"], seed, 0.01, forces=0.0)
    (figure,) = figures_of(Where((), tmp_path), ["corrected"], names=["effects"])
    said = [what for what, _ in figure.missing if "not drawn" in what]
    assert len(said) == 1
    assert "forces MAE not drawn: an error of zero has no ratio" in said[0]
    assert "hollow" not in figure.caption
    assert "arrow" not in figure.caption


def test_labels_of_any_origin_are_shown_as_they_are_and_leave_room():
    """Long ones have lines; neither a formula nor an element begins in one; no limits coincide."""
    title = "$x_$ and a few more words"
    long = f"{title} " * 5
    points = [Series(long, np.zeros(2), np.arange(2.0), COLOURS[0], "points")]
    names = [long, "<b>a</b> $x$"]
    panels = [Panel(f"{title} / %", "", points, names=names, title=title) for _ in range(4)]
    sheet = Sheet([panels], WIDE, 3.0, joined=True)
    drawn = static.draw(sheet)
    static.encoded(drawn, "png")
    boxes = [axes.get_tightbbox() for axes in drawn.axes]
    assert all(axes.get_position().width > 0.08 for axes in drawn.axes)
    assert all(one.x1 < other.x1 and other.x0 >= one.x0 for one, other in pairwise(boxes))
    labels = [axes.xaxis.label.get_window_extent() for axes in drawn.axes]
    assert all(one.x1 <= other.x0 for one, other in pairwise(labels))
    layout = interactive.draw(sheet).layout
    assert layout.yaxis.ticktext[1] == "&lt;b&gt;a&lt;/b&gt; $x$"
    assert max(map(len, layout.yaxis.ticktext[0].split("<br>"))) <= NAME


@pytest.mark.parametrize("epochs", [1, 2])
def test_few_epochs_are_points_and_whole_numbers(tmp_path, epochs):
    folder = write(tmp_path, ["condition=corrected"], 0, 0.02)
    rows = pd.DataFrame(0.5, index=range(epochs), columns=COLUMNS)
    rows.assign(epoch=range(1, epochs + 1)).to_csv(folder.metrics, index=False)
    (figure,) = figures_of(Where((), tmp_path), ["corrected"], names=["figure_7"])
    (first, *_) = figure.draw().axes
    drawn = next(line for line in first.get_lines() if line.get_linestyle() != "--")
    assert (drawn.get_marker() == "o") == (epochs == 1)
    assert [float(tick) for tick in first.get_xticks()] == list(range(1, epochs + 1))
    assert "Insets" not in figure.caption


def test_each_member_of_a_metric_has_its_name_on_its_axis():
    by_element = next(one for one in metrics() if one.name == "forces_mae_by_element")
    assert axis(Column(by_element, "C"), "hartree") == "forces MAE by element: C / (Ha/bohr)"
    counted = next(one for one in metrics() if one.name == "parameters")
    assert in_unit(counted, "hartree") == "parameters"


def test_lines_of_other_seeds_are_not_drawn_beside_each_other_unsaid():
    def runs(seeds):
        rows = [(label, "", Replicate(n), "done") for label, own in seeds.items() for n in own]
        return pd.DataFrame(rows, columns=["label", "condition", "replicate", "state"])

    found, words = comparable(runs({"a": (0, 1, 2), "b": (1, 2, 3)}))
    assert (set(found.replicate), words) == ({Replicate(1), Replicate(2)}, "n = 2")
    found, words = comparable(runs({"a": (0, 1), "b": (1,)}))
    assert (set(found.replicate), words) == ({Replicate(1)}, "n = 1, seed 1 alone")
    found, words = comparable(runs({"a": (0, 1), "b": (2,)}))
    assert len(found) == 3
    assert words == "n = 1 to 2, of different seeds, so that heights do not compare"


def test_learning_curves(tmp_path):
    """Seeds that all sizes have are one point; a third of one is left out; sizes are in order."""
    energies = {250: [0.004, 0.005, 0.009], 1000: [0.001, 0.002], 2000: [0.0007, 0.0008]}
    for size, values in energies.items():
        lines = [] if size == 1000 else [f"data.train_size={size}"]
        for seed, value in enumerate(values):
            write(tmp_path, lines, seed, value)
    (figure,) = figures_of(Where((), tmp_path), ["corrected"], names=["learning"])
    line = traces(figure)[0]
    assert line["name"] == "No scalars, corrected"
    np.testing.assert_allclose(numbers(line["x"]), [250, 1000, 2000])
    np.testing.assert_allclose(numbers(line["y"]), [0.0045, 0.0015, 0.00075])
    assert [axes.get_xlabel() for axes in figure.draw().axes] == ["training frames"] * 2
    assert "forces MAE / (Ha/bohr)" in {axes.get_ylabel() for axes in figure.draw().axes}
    ((what, command),) = figure.missing  # rather than a line for each of nine variants
    assert what == "14 of 21 runs, corrected: not run"  # one size's third seed is not asked for
    words = "bench sweep sweeps/learning.yaml condition=corrected"
    assert command == f"{words} runs_dir={tmp_path} seed=0,1"


def test_another_molecule(where):
    """Without a reference for it, only the offset is wrong by electronvolts."""
    figure, conformers = figures_of(where, ["corrected"], "mev", ["17", "18"])
    assert "pent-2-ene" in figure.title
    names = {t["name"] for t in traces(figure)}
    assert names == {"true", "other frames"}
    assert figure.draw().axes[0].get_ylabel() == "relative energy / meV"
    assert "meV" in conformers.draw().axes[0].texts[0].get_text()


def test_what_is_missing_is_named_with_its_command(where, tmp_path):
    out = tmp_path / "out"
    text = bench("7", "8", *DATA, "--out", out)
    line = "— All scalars, report, seed 0, 1: not run"
    command = text[text.index(line) :].splitlines()[1].split(" runs_dir=")[0]
    words = shlex.split(command)
    assert words[:2] == ["bench", "sweep"]
    assert "scalars=all" in words
    assert "condition=report" in words
    assert "seed=0,1" in words
    assert text.count(line) == 1  # Figure 8 has the same gaps
    assert "named above" in text


def test_nothing_to_draw_is_one_line_and_the_others_are_drawn(where, tmp_path):
    """Runs of which only the results were kept have no curves, but effects."""
    write(tmp_path, ["condition=corrected"], 0, 0.001)
    write(tmp_path, ["condition=corrected", "scalars=all"], 0, 0.002)
    out = tmp_path / "out"
    text = bench("15", "7", "effects", "--runs-dir", tmp_path, "--out", out, *ONE)
    assert {path.stem for path in out.iterdir()} == {"effects", "plotly.min"}
    assert "— x3 sqrt, corrected: not run\n  bench train scalars=cub_sqrt" in text
    assert "No scalars, corrected, seed 0: its metrics.csv is gone or damaged" in text
    assert re.search(r"bench train condition=corrected runs_dir=\S+ seed=0 --fresh", text)


def test_no_run_at_all_writes_nothing(tmp_path):
    out = tmp_path / "out"
    text = bench("7", "learning", "--runs-dir", tmp_path / "none", "--out", out, *ONE)
    assert not out.exists()
    assert "bench sweep sweeps/scalars.yaml condition=corrected" in text
    assert "bench sweep sweeps/learning.yaml" in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["9"], "unknown figure or study '9'; did you mean figure_"),
        (["parityy"], "unknown figure or study 'parityy'; did you mean parity"),
        (["peer"], "unknown figure or study 'peer'; did you mean peers"),
        (["7", "seed=3"], "seed=3: tables and figures take every seed there is"),
        (["7", "trainer.epoch=3"], "unknown group or key 'trainer.epoch'"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(monkeypatch, capsys, arguments, expected):
    status, out, err = inside(monkeypatch, capsys, "figures", *arguments)
    assert (status, out) == (2, "")
    assert expected in err
    assert err.count("\n") == 1


def test_a_file_in_the_way(where, tmp_path, monkeypatch, capsys):
    (tmp_path / "taken").write_text("")
    arguments = ("figures", "experts", *DATA, "--out", str(tmp_path / "taken"))
    status, _, err = inside(monkeypatch, capsys, *arguments)
    assert (status, err.count("\n")) == (1, 1)
    assert "taken: Not a directory; " in err


@pytest.mark.parametrize("name", ["scalars", "layers", "learning"])
def test_sweeps_that_are_drawn(name):
    """Distinct runs, whose names a figure can tell apart by colour."""
    sweep = asked_for(name)
    paths = {run_folder(experiment(one.overrides)).path for one in sweep.runs}
    assert len(paths) == len(sweep.runs)
    assert len({label.split(", ")[0] for label in (r.label for r in sweep.runs)}) <= len(COLOURS)


def test_one_condition_fits_one_column(where):
    (figure,) = figures_of(where, ["corrected"], names=["8"])
    assert figure.draw().get_figwidth() == NARROW


def test_dark_pages_have_light_text():
    light, dark = (template(scheme).layout.font.color for scheme in (False, True))
    brightness = [sum(int(c[i : i + 2], 16) for i in (1, 3, 5)) / 765 for c in (light, dark)]
    assert brightness[0] < 0.3 < 0.7 < brightness[1]
