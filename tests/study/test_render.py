"""Every format shows the one frame: the same numbers, bold in the same places, units named."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from dataclasses import replace
from io import StringIO

import pandas as pd
import pytest

from deepset_bench.console import Console
from deepset_bench.study import disagreement, render
from deepset_bench.study.collect import Where
from deepset_bench.study.columns import PARTS
from deepset_bench.study.effect import Change, change_text
from deepset_bench.study.layout import Cell, Page, Section
from deepset_bench.study.sections import page
from deepset_bench.study.tables import Table, build
from deepset_bench.sweep.comparisons import of_axes
from deepset_bench.units import HARTREE, HARTREE_PER_BOHR
from tests.study.folders import write
from tests.study.shipped import PRINTED, asked_for

BOTH = ["report", "corrected"]
CHANGE = "+48.4 % [+45.2, +51.8]"


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Table:
    """Table 1: All scalars clearly worse under report, without any run under corrected."""
    root = tmp_path_factory.mktemp("runs")
    for seed, (none, every) in enumerate([(0.020, 0.030), (0.021, 0.031), (0.022, 0.0325)]):
        write(root, ["condition=report"], seed, none)
        write(root, ["condition=report", "scalars=all"], seed, every)
        write(root, [], seed, none / 10)
    return build(asked_for("1"), BOTH, Where((), root), (), PRINTED)


def drawn(table: Table, width: int, unit: str = "hartree", parts=("mean",)) -> str:
    stream = StringIO()
    console = Console(file=stream, width=width, force_terminal=True, color_system="standard")
    render.terminal(page(table, unit, parts), console)
    return stream.getvalue()


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_every_format_has_the_same_numbers(table):
    texts = [
        plain(drawn(table, 120)),
        render.markdown(page(table, "hartree", ["mean"])),
        render.latex(page(table, "hartree", ["mean"])).replace(" +- ", " ±"),
    ]
    for text in texts:
        for number in ("0.02066", "0.03117 ±0.00313", CHANGE, "0.02040", "0.02320"):
            assert number in text.replace("\\%", "%")
        assert "Ha/bohr" in text
        assert "bench sweep scalars=all condition=corrected" in text.replace("\\_", "_")
    csv = pd.read_csv(io.StringIO(render.csv([table], "hartree")))
    chosen = csv[(csv.row == "All scalars") & (csv.part == "mean") & (csv.condition == "report")]
    assert chosen["energy_mean / (Ha)"].item() == pytest.approx(0.0935 / 3)
    assert chosen["energy_half / (Ha)"].item() == pytest.approx(0.00313, abs=5e-6)
    assert chosen["forces_printed / (Ha/bohr)"].item() == pytest.approx(0.0378325)


def test_bold_where_the_change_is_beyond_chance_and_nowhere_else(table):
    text = render.markdown(page(table, "hartree", ["mean"]))
    bold = re.findall(r"\*\*([−+\d][^*]*)\*\*", text)
    frame = table.frame[(table.frame.part == "mean") & (table.frame.kind == "run")]
    counts = [(frame[f"{m}_p_holm"] < 0.05).sum() for m in ("energy", "forces")]
    assert len(bold) == sum(counts) > 0
    assert CHANGE in bold
    latex = render.latex(page(table, "hartree", ["mean"]))
    assert latex.count(r"\textbf{$") + latex.count(r"\textbf{+") == len(bold)
    assert re.search(rf"\x1b\[1m *{re.escape(CHANGE)}", drawn(table, 120))


def test_a_file_has_a_mark_where_a_terminal_has_bold_letters(table):
    stream = StringIO()
    render.terminal(page(table, "hartree", ["mean"]), Console(file=stream, width=120))
    assert f"{CHANGE}*" in stream.getvalue()
    assert stream.getvalue().count("*") == plain(drawn(table, 120)).count(CHANGE) + 1
    assert "*: bold, where letters can be." in stream.getvalue()
    assert "*" not in plain(drawn(table, 120))


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("unit", ["hartree", "mev"])
def test_the_terminal_cuts_no_number(table, width, unit):
    text = plain(drawn(table, width, unit))
    assert "…" not in text
    commands = ("  bench",)
    assert all(len(line) <= width for line in text.splitlines() if not line.startswith(commands))
    assert ("meV/Å" in text) == (unit == "mev")


def test_a_long_label_has_lines_of_its_own(tmp_path):
    """A number that is cut is another number."""
    long = [f"trainer.{key}={2 * n},{n}" for key, n in (("epochs", 60), ("batch_size", 10))]
    long += ["trainer.learning_rate=1e-3,2e-3", "trainer.energy_weight=0.2,0.1"]
    sweep = of_axes(long)
    write(tmp_path, [line.replace(",", " ").split()[0] for line in long], 0, 0.0312345)
    text = plain(drawn(build(sweep, ["corrected"], Where((), tmp_path), (), None), 80))
    assert "…" not in text
    assert "0.03123" in text


def test_a_line_that_ends_behind_a_wide_character_keeps_it():
    text = "aufhört) to 1678 % (距離 | x"
    block = Section("", [("", "claim"), ("", "evidence")], [[Cell("1."), Cell(text)]], wraps=True)
    for width in range(26, 60):
        stream = StringIO()
        render.terminal(Page("x", "x", [block], [], []), Console(file=stream, width=width))
        assert "…" not in stream.getvalue()


def test_units_are_converted(table):
    text = plain(drawn(table, 120, "mev"))
    assert f"{0.021 * HARTREE * 1000:.1f}" in text
    assert f"{0.027 * HARTREE_PER_BOHR * 1000:,.1f}" in text


def test_conditions_side_by_side_or_one_by_one(table):
    wide, narrow = plain(drawn(table, 120)), plain(drawn(table, 80))
    assert any("report" in line and "corrected" in line for line in wide.splitlines()[:6])
    assert not any("report" in line and "corrected" in line for line in narrow.splitlines()[:6])
    assert narrow.count("energy MAE") == 2


def test_a_cell_without_a_run_is_an_em_dash(table):
    text = render.markdown(page(table, "hartree", ["mean"]))
    (row,) = [x for x in text.splitlines() if x.startswith("| All scalars | 0.02066")]
    assert row.endswith("| — | 0 | — |")


def test_several_parts_have_a_column_that_says_which(table):
    text = render.markdown(page(table, "hartree", PARTS))
    assert "| All scalars | test | 0.01838 |" in text
    assert "| All scalars | val | 0.02294 |" in text or "| All scalars | val | 0.02295 |" in text


@pytest.mark.parametrize("baseline", ["trivial", "none"])
def test_a_row_may_be_called_as_those_of_another_kind(tmp_path, baseline):
    """Each has its own numbers, and only the run that is called so can be the baseline."""
    labels = {"scalars=none": "trivial", "scalars=all": "floor", "scalars=[x3]": "none"}
    sweep = of_axes(["condition=report", "scalars=none,all,[x3]"])
    rows = tuple(replace(row, label=labels[row.label]) for row in sweep.runs)
    for row, energy in zip(rows, (0.020, 0.030, 0.040), strict=True):
        write(tmp_path, row.overrides, 0, energy)
    built = build(replace(sweep, baseline=baseline, runs=rows), [], Where((), tmp_path))
    energies, forces, size = page(built, "hartree", ["mean"]).blocks
    runs = [("trivial", "0.02000"), ("floor", "0.03000"), ("none", "0.04000")]
    assert [(r[0].plain, r[1].plain) for r in energies.rows] == [*runs, ("mean energy", "0.02040")]
    assert [row[0].plain for row in forces.rows[3:]] == ["zero force", "true forces"]
    assert [row[0].plain for row in size.rows] == [label for label, _ in runs]
    assert [row[0].plain for row in energies.rows if row[-1].plain == "baseline"] == [baseline]
    assert energies.rows[3][-1].plain == ("+2.0 %" if baseline == "trivial" else "−49 %")


def test_markdown_tables_are_rectangular(table):
    for block in render.markdown(page(table, "mev", PARTS)).split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in rows}) <= 1


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("p < 0.05, <50 frames", "p < 0.05, <50 frames"),
        ("<script>x</script>", "&#60;script>x&#60;/script>"),
        ("<!-- x", "&#60;!-- x"),
        ("[a](javascript:x)", "[a]&#40;javascript:x)"),
        ("a\n# b\n\nc", "a # b  c"),
    ],
)
def test_what_begins_nothing_in_markdown(text, written):
    assert render.markdown_text(text) == written


def test_latex_is_balanced(table):
    text = render.latex(page(table, "hartree", PARTS))
    assert text.count("{") == text.count("}")
    for name in ("table", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") > 0
    for tabular in re.findall(r"\\midrule\n(.*?)\\bottomrule", text, re.DOTALL):
        assert len({line.count("&") for line in tabular.strip().splitlines()}) == 1
    assert "†" not in text
    assert "—" not in text


def test_what_no_page_holds_is_several_floats():
    block = Section("", [("", "variant")], [[Cell("x")]] * 30)
    for n, floats in ((1, 1), (2, 2), (3, 3)):
        text = render.latex(Page("x", "x", [block] * n, [], []))
        assert text.count(r"\begin{table}") == text.count(r"\end{table}") == floats
        assert text.count(r"\caption") == 1


def test_a_command_in_latex_is_what_a_person_types():
    """Two hyphens would be a dash, and a straight quote a curly one."""
    text = render.latex(Page("x", "x", [], [], [("none", "bench sweep 'a=[1,2]' --seeds 3")]))
    quote = r"\textquotesingle{}"
    assert rf"\texttt{{bench sweep {quote}a=[1,2]{quote} -{{}}-seeds 3}}" in text
    assert render.latex_text("3 — 4") == "3 --- 4"


def test_latex_escapes():
    assert render.latex_text("A → B") == r"A $\rightarrow$ B"
    assert render.latex_text("a_b & 5 % #1 {x} ~^") == (
        r"a\_b \& 5 \% \#1 \{x\} \textasciitilde{}\textasciicircum{}"
    )


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles(table, tmp_path):
    body = render.latex(page(table, "hartree", ["mean"])) + render.latex_text(disagreement.NOTE)
    (tmp_path / "t.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs,siunitx}\begin{document}"
        f"{body}\\end{{document}}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    if "siunitx.sty' not found" in result.stdout:
        pytest.skip("needs siunitx")
    assert result.returncode == 0, result.stdout[-2000:]


def test_csv_holds_every_part_of_several_tables_under_one_heading(table):
    frame = pd.read_csv(io.StringIO(render.csv([table, table], "mev")))
    assert len(frame) == 2 * len(table.frame)
    assert {"energy_mean / (meV)", "forces_mean / (meV/Å)", "step_ratio", "step / ms"} <= set(
        frame.columns
    )


def test_each_number_of_a_csv_file_has_the_unit_of_its_heading(tmp_path):
    """An error of exactly zero has no ratio: its change is a difference."""
    for seed in (0, 1):
        write(tmp_path, ["condition=report"], seed, 0.020, forces=0.03)
        write(tmp_path, ["condition=report", "scalars=all"], seed, 0.022, forces=0.0)
    built = build(asked_for("1"), ["report"], Where((), tmp_path))
    frame = pd.read_csv(io.StringIO(render.csv([built], "hartree")))
    (row,) = frame[(frame.row == "All scalars") & (frame.part == "test")].to_dict("records")
    assert row["energy_change / (%)"] == pytest.approx(10)
    assert row["forces_difference / (Ha/bohr)"] == pytest.approx(-0.033)
    empty = ["energy_difference / (Ha)", "energy_difference_low / (Ha)", "forces_change / (%)"]
    assert all(pd.isna(row[name]) for name in empty)
    shown = render.markdown(page(built, "mev", ["test"]))
    assert f"−{0.033 * HARTREE_PER_BOHR * 1000:,.1f} meV/Å [" in shown
    assert "Δ is no ratio but the mean difference" in shown


@pytest.mark.parametrize(
    ("ends", "shown"),
    [
        ((0.0003, 0.127), "+6.2 % [+0.03, +12.7]"),
        ((-0.0003, 0.127), "+6.2 % [−0.03, +12.7]"),
        ((-0.127, -1e-5), "+6.2 % [−12.7, −0.001]"),
        ((-1e-15, 0.127), "+6.2 % [+0.0, +12.7]"),
    ],
)
def test_an_end_of_an_interval_says_on_which_side_of_zero_it_is(ends, shown):
    assert change_text(Change(0.062, *ends, 3), relative=True) == shown


def test_no_negative_zero():
    assert Cell(value=-1e-9, half=0.1, digits=2).plain == "0.00 ±0.10"
    assert Section("", [("", "x")], []).narrow()[0].columns == [("", "x")]
