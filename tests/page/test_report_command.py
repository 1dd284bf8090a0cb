"""`bench report`: the file, and what a browser makes of it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from typer.testing import CliRunner

from deepset_bench import cli
from deepset_bench.config import experiment
from deepset_bench.data import catalogue
from deepset_bench.page.report_command import command
from deepset_bench.study.collect import Where
from deepset_bench.training.train import train
from tests.browser import Tags, browser
from tests.study.folders import write_unseen
from tests.study.shipped import asked_for
from tests.test_cli import inside
from tests.training.tiny import OVERRIDES

# A published network has a size of its own, and five experts are the fewest for a top five.
SIZES = ("width=", "rbf.size=", "gating.")
LINES = [line for line in OVERRIDES if not line.startswith(SIZES)]
SECTIONS = ("findings", "claims", "flaws", "data", "tables", "figures", "runs")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The page of two runs on sixty frames of but-2-ene: the baseline, under each condition."""
    root = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_DATA", str(root / "data"))
        shipped = catalogue.load("but-2-ene")
        chosen = np.linspace(0, len(shipped) - 1, 60).astype(int)
        catalogue.register("tiny", shipped.select(chosen), catalogue.datasheet("but-2-ene"))
        for condition in ("report", "corrected"):
            lines = [*LINES, f"condition={condition}", f"runs_dir={root / 'runs'}"]
            train([experiment(lines)])
        tasks = asked_for("generalisation_tasks")
        write_unseen(root / "runs", tasks, "trans to cis", 0, 0.01, [*LINES, "condition=corrected"])
        words = ["report", *LINES, "--runs-dir", str(root / "runs")]
        for name, study in (("unseen", ["generalisation"]), ("page", [])):
            out = root / "out" / f"{name}.html"
            result = CliRunner().invoke(cli.app, [*words, *study, "--out", str(out)])
            assert result.exit_code == 0, result.exception
            assert result.stdout == f"{out}\n"
    return out


@pytest.fixture(scope="module")
def text(path):
    return path.read_text()


def test_the_page_says_what_makes_it(tmp_path):
    where = Where(("data=but-2-ene",), tmp_path / "a b")
    assert command(["1"], ["report"], "mev", where) == (
        f"bench report 1 data=but-2-ene --condition report --unit mev --runs-dir '{tmp_path}/a b'"
    )
    assert command([], [], "hartree", Where()) == "bench report"


def test_the_page_needs_nothing_else(text):
    tags = Tags(text)
    assert tags.outside == []
    assert tags.open == []
    assert set(SECTIONS) <= set(tags.names)
    assert len(tags.names) == len(set(tags.names))
    assert set(tags.links) <= set(tags.names)
    assert len(re.findall("plotly.js v", text)) == 1


def test_numbers_lead_to_their_runs(text):
    table = text[text.index('id="sweep-table_1"') : text.index('id="sweep-table_2"')]
    (row,) = re.findall(r">No scalars<.*?</tr>", table, re.DOTALL)[:1]
    links = re.findall(r'href="#(run-\d+)">1', row)
    assert len(links) == 2
    for link, condition in zip(links, ("report", "corrected"), strict=True):
        group = text[text.index(f'id="{link}"') :]
        assert f"<b>tiny/{condition}/" in group[: group.index("</b>")]
        assert re.search(rf"<code>bench train .*condition={condition} .*seed=0</code>", group)
        assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d", group)
    assert "torch 2." in text[text.index('id="runs"') :]


def test_gaps_name_the_command(text):
    assert "bench sweep sweeps/table_3.yaml data=tiny" in text
    assert "No run is done yet" in text


def test_what_was_not_seen(path):
    text = path.with_name("unseen.html").read_text()
    section = text[text.index('id="generalisation"') : text.index('id="figures"')]
    (row,) = re.findall(r"trans to cis<.*?</tr>", section, re.DOTALL)
    assert re.findall(r"0\.0\d+", row)[3:5] == ["0.01000", "0.00300"]


def test_no_run_at_all(monkeypatch, capsys, tmp_path):
    status, out, err = inside(
        monkeypatch,
        capsys,
        "report",
        "--runs-dir",
        str(tmp_path),
        "--out",
        str(tmp_path / "x.html"),
    )
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {tmp_path}: no finished run")
    assert err.count("\n") == 1
    assert not (tmp_path / "x.html").exists()


@pytest.fixture(scope="module")
def seen(path, tmp_path_factory):
    """A browser that shows the page."""
    with browser(tmp_path_factory.mktemp("profile")) as one:
        one.show(1280)
        one.open(path)
        yield one


@pytest.mark.parametrize("width", [1280, 420])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_screen(seen, width, scheme):
    seen.show(width, scheme)
    assert seen.evaluate("document.documentElement.scrollWidth") == width
    assert (seen.pixels()[:, :4].mean() > 0.5) == (scheme == "light")
    assert seen.shown(".drawing") == 0
    drawn = "box => box.querySelector('.point, .js-line, canvas, .bars, image')"
    pictures = seen.pictures(".interactive", drawn)
    assert len(pictures) >= 4
    for picture in pictures:
        # A curve or points, not axes alone: those are grey.
        colourful = picture.max(axis=-1) - picture.min(axis=-1) > 0.25
        assert 1e-4 < colourful.mean() < 0.5


def test_printed(seen):
    """Black on white however the screen is, pictures instead of what needs a mouse."""
    seen.show(800, "dark", "print")
    assert seen.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert seen.shown("nav") == seen.shown(".interactive") == 0
    drawings = seen.pictures("#figures .drawing svg")
    assert len(drawings) >= 4
    assert all(drawing.std() > 0.02 for drawing in drawings)
    pdf = seen.pdf()
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", pdf)) >= 5


def test_without_scripts(seen):
    seen.show(1280)
    seen.evaluate("document.documentElement.classList.remove('js')")
    assert seen.shown("#figures .drawing") >= 4
    assert seen.shown(".interactive") == 0
    seen.evaluate("document.documentElement.classList.add('js')")


def test_nothing_was_asked_of_a_network(seen):
    assert seen.complaints == []
    assert {address.split(":", 1)[0] for address in seen.requests} <= {"file", "data", "blob"}
