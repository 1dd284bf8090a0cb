"""A stranger's study from `bench study new` to its page, and mistakes in its files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deepset_bench.errors import UserError
from deepset_bench.page.study_check import problems
from deepset_bench.study.answer import answers
from deepset_bench.study.claimed import claimed
from deepset_bench.study.collect import Where
from deepset_bench.study.columns import PARTS
from deepset_bench.study.tables import build
from deepset_bench.study.verdict import Claimed
from deepset_bench.surroundings import STUDY
from deepset_bench.sweep import studies
from tests.study.folders import write
from tests.test_cli import inside
from tests.training.tiny import OVERRIDES

SHEET = """
title: Widths
baseline: narrow
runs:
  - {label: narrow, overrides: [width=8]}
  - {label: wide, overrides: [width=16]}
"""
FILES = {
    "study.yaml": "title: Is wide better?\nquestion: Does width help?\n",
    "widths.yaml": SHEET,
    "claims.yaml": "- {claim: Wide is better, compare: {wide: narrow}, metric: energy_mae, "
    "change: less}\n",
}


def make(folder: Path, **files: str) -> studies.Study:
    """A study with these files, `_` for the point in their names."""
    folder.mkdir(exist_ok=True)
    changed = {name.replace("_", "."): text for name, text in files.items()}
    for name, text in (FILES | changed).items():
        (folder / name).write_text(text)
    return studies.read(folder)


@pytest.fixture
def bench(monkeypatch, capsys):
    """Runs a command line in this process: its output; it has to end well."""

    def run(*words: str, status: int = 0) -> str:
        found, out, err = inside(monkeypatch, capsys, *words)
        assert found == status, (out, err)
        return out + err

    return run


@pytest.mark.usefixtures("tiny")
def test_a_new_study_runs_as_it_is(bench, tmp_path, monkeypatch):
    """Own basis, layer and network; two seeds; table, claims and page speak of nothing else."""
    monkeypatch.chdir(tmp_path)
    said = bench("study", "new", "mine", "--data", "tiny")
    assert [line for line in said.splitlines() if line.endswith("yaml")] == [
        f"mine/{name}.yaml" for name in ("claims", "comparison", "study")
    ]
    monkeypatch.chdir(tmp_path / "mine")
    assert "mine: its files hold together: 1 comparison, 4 rows, 1 claim" in bench("study", "check")
    assert bench("study", "list").splitlines()[1].split()[0] == "mine"
    size = ("width=", "rbf.size=", "gating.", "data=", "trainer.epochs=")
    lines = [line for line in OVERRIDES if not line.startswith(size)]
    lines += ["trainer.epochs=1", "runs_dir=runs"]
    said = bench("sweep", *lines, "--seeds", "2", "--jobs", "1")
    assert "comparison: What each change does" in said
    rows = [re.split(r"  +", line.strip()) for line in said.splitlines()]
    for label in ("baseline", "Bessel basis", "summed layer", "own network"):
        (energy, _, _) = [row for row in rows if row[0] == label]
        assert energy[2] == "2"
    assert "corrected" not in said[said.index("comparison: What each") :]
    assert re.search(r"claim +verdict +stated +evidence", said)
    assert bench("tables", *lines).strip() in said
    bench("report", *lines, "--out", "page.html")
    page = (tmp_path / "mine" / "page.html").read_text()
    first = page[page.index("<h1>") : page.index('<section id="claims">')]
    assert "Does a change of the network lower its errors on tiny?" in first
    assert re.search(r"Against baseline: .* error .*\(2 seeds\)\.", first)
    text = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search("but-2-ene|the report|corrected[^/]", text)


@pytest.mark.usefixtures("tiny")
def test_a_sweep_that_is_typed_ends_with_its_table_and_is_kept(bench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    typed = [*OVERRIDES[:7], "trainer.epochs=1", *OVERRIDES[8:], "scalars=none,cub_sqrt"]
    said = bench("sweep", *typed, "runs_dir=runs", "--seeds", "1", "--jobs", "1")
    (kept,) = (tmp_path / "runs" / "sweeps").iterdir()
    table = said[said.index("energy MAE in") :]
    assert re.search(r"scalars=none +\d\.\d+ +1 +baseline", table)
    assert re.search(r"scalars=cub_sqrt +\d\.\d+ +1 ", table)
    for words in (typed, [str(kept)]):
        again = bench("tables", *words, "--runs-dir", "runs")
        again, _, _ = again[again.index("energy MAE in") :].partition("— wall times")
        assert again.split() == table.partition("— wall times")[0].split()


def test_axes_of_a_file_are_rows(tmp_path):
    text = "title: t\naxes: {gnn: [none, sage], width: [8, 16]}\nbaseline: 'gnn=none, width=16'\n"
    study = make(tmp_path / "s", **{"widths_yaml": text, "claims_yaml": "[]"})
    (one,) = study.tables
    assert [row.label for row in one.runs] == [
        f"gnn={gnn}, width={width}" for gnn in ("none", "sage") for width in (8, 16)
    ]
    assert one.baseline == "gnn=none, width=16"


def test_conditions_belong_to_a_study(tmp_path):
    """Without any no column has a name; a person's own is shown like one that is shipped."""
    plain = make(tmp_path / "plain")
    for seed in (0, 1):
        for width, energy in ((8, 0.02), (16, 0.01)):
            write(tmp_path, [f"width={width}"], seed, energy + 1e-4 * seed)
            write(tmp_path, [f"width={width}", "condition=report"], seed, energy / 2)
    table = build(plain.tables[0], [""], Where((), tmp_path))
    assert set(table.frame.condition) == {""}
    assert table.frame[table.frame.row == "wide"].n.tolist() == [2] * len(PARTS)
    (found,) = answers(plain, [table])
    assert found.condition == ""
    assert found.text.startswith("Against narrow: wide lowers the energy error by 49.9 % [")
    own = make(tmp_path / "own", study_yaml="title: t\nconditions: [report, corrected]\n")
    table = build(own.tables[0], list(own.conditions), Where((), tmp_path))
    assert [one.condition for one in answers(own, [table])] == ["report", "corrected"]


def test_an_option_of_a_study_is_one_of_the_group(bench, tmp_path, monkeypatch):
    make(tmp_path / "s")
    (tmp_path / "s" / "conf" / "condition").mkdir(parents=True)
    file = tmp_path / "s" / "conf" / "condition" / "mine.yaml"
    text = "name: mine\nlabels: potential\nunits: consistent\nenergy_loss: plain\nedges: all\n"
    file.write_text(text)
    (tmp_path / "s" / "study.yaml").write_text("title: t\nconditions: [corrected, mine]\n")
    monkeypatch.chdir(tmp_path)
    said = bench("sweep", "s", "--dry-run")
    assert "4 runs: 4 queued" in said
    assert "width=16 condition=mine" in said
    assert "mine" in bench("tables", "s", "--format", "markdown", "--runs-dir", "none")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"study_yaml": "titel: t"}, "study.yaml: unknown key 'titel'; did you mean title"),
        ({"study_yaml": "question: t"}, "study.yaml: title is missing"),
        (
            {"study_yaml": "title: t\nmargin: 5 per cent"},
            "margin: '5 per cent' is not a percentage",
        ),
        ({"study_yaml": "title: t\ntables: [width]"}, "tables: there is no width.yaml; did you m"),
        ({"study_yaml": "title: t\nconditions: 3"}, "conditions must be a list of texts"),
        (
            {"study_yaml": "margin: 5 per cent\ntables: [width]\nmetric: 1\nquestion: 2"},
            "study.yaml: unknown key 'metric'; did you mean metrics or margin?; "
            "study.yaml: question must be text; study.yaml: title is missing; "
            "study.yaml: tables: there is no width.yaml; did you mean widths?; "
            "study.yaml: margin: '5 per cent' is not a percentage, e.g. 5 %",
        ),
    ],
)
def test_a_mistake_in_study_yaml_is_one_line(tmp_path, files, message):
    with pytest.raises(UserError) as caught:
        make(tmp_path / "s", **files)
    assert message in str(caught.value).replace(f"{tmp_path / 's'}/", "")
    assert "\n" not in str(caught.value)


OF_TRIVIAL = "- {{claim: c, runs: widths, metric: {}, of_trivial: more than 50 %}}"
CLAIM = "- {{claim: c, compare: {{wide: narrow}}, metric: energy_mae, change: {}}}"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"claims_yaml": CLAIM.format("lesser")}, "claim 1: change must be less, more, equal"),
        (
            {"claims_yaml": CLAIM.replace("wide:", "width:").format("less")},
            "no run is called",
        ),
        (
            {"claims_yaml": CLAIM.replace("_mae", "_mea").format("less")},
            "metric: no metric is",
        ),
        ({"claims_yaml": CLAIM.format("x1")}, "claim 1: change: x1 is no change; say equal"),
        ({"claims_yaml": CLAIM.format("-0 %")}, "change: -0 % is no change; say equal"),
        ({"claims_yaml": CLAIM.format("x0")}, "change: nothing is 100 % less than something"),
        (
            {"claims_yaml": CLAIM.replace("wide:", "narrow:").format("less")},
            "claim 1: compare: narrow is compared with itself",
        ),
        (
            {"claims_yaml": "\n".join([CLAIM.format("less"), CLAIM.format("more")])},
            "claim 2: has the same sentence as claim 1",
        ),
        *(
            (
                {"claims_yaml": OF_TRIVIAL.format(name)},
                f"metric: no trivial prediction has a {name}",
            )
            for name in ("seconds", "parameters")
        ),
        ({"claims_yaml": "claim: c"}, "claims.yaml: must be a list of claims"),
        ({"claims_yaml": "- {claim: c, compere: {}}"}, "unknown key 'compere'; did you mean compa"),
        ({"study_yaml": "title: t\nmetrics: [energy_mad]"}, "no metric is called energy_mad"),
        ({"study_yaml": "title: t\nanswer: [depth]"}, "answer: no comparison 'depth'"),
        ({"widths_yaml": SHEET.replace("width=16", "width=x")}, "widths.yaml: wide: width"),
        ({"figures_yaml": "- {name: x, kind: curve}"}, "unknown kind 'curve'; did you mean curves"),
        (
            {"figures_yaml": f"- {{name: x, kind: conformers, at: {{a: 1{'0' * 400}}}}}"},
            "figures.yaml: cannot be read (a number has too many digits)",
        ),
        (
            {"published_yaml": "a: {columns: [{label: wide, same_as: b/c}]}\nb: []"},
            "published.yaml: ",
        ),
        (
            {"published_yaml": "t: {columns: [{label: wide, test_energy: -1}]}"},
            "published.yaml: t: wide: test_energy is -1: an absolute error is not below 0",
        ),
        (
            {"published_yaml": "t: {columns: [{label: wide, tset_energy: 1}]}"},
            "t: wide: unknown key 'tset_energy'; did you mean test_energy",
        ),
        (
            {"published_yaml": "t: {columns: [{label: wide, mean_forces: 1}]}"},
            "t: wide: unknown key 'mean_forces'; did you mean",
        ),
        (
            {"published_yaml": "t: {columns: [{label: wide, avg_energy: ten}]}"},
            "t: wide: avg_energy is not a number",
        ),
        (
            {"published_yaml": "t: {colums: [{label: wide}]}"},
            "t: unknown key 'colums'; did you mean columns",
        ),
        ({"published_yaml": "unit: {energy: hartree}"}, "published.yaml: unit: unknown key 'energ"),
        ({"figures_yaml": "- {name: x, kind: curves, sheet: w}"}, "sheet: no comparison 'w'"),
        ({"findings_md.j2": "## a\n{{ of("}, "findings.md.j2, line 2: "),
        ({"published_yaml": "t: {columns: [{label: deep}]}"}, "t: no run is called 'deep'"),
        ({"corrections_yaml": "[]"}, "corrections.yaml: must be a mapping with the keys"),
    ],
)
def test_check_says_what_does_not_hold_together(tmp_path, files, message):
    lines = list(problems(make(tmp_path / "s", **files)))
    assert len([line for line in lines if message in line]) == 1
    assert all("\n" not in line for line in lines)


@pytest.mark.parametrize("folder", studies.folders.shipped(), ids=lambda path: path.name)
def test_the_shipped_studies_hold_together(folder, monkeypatch):
    """But for sets that a person has to fetch."""
    monkeypatch.setenv(STUDY, str(folder))
    found = list(problems(studies.read(folder)))
    assert [line for line in found if "says where from" not in line] == []
    assert not found or (folder / "conf" / "data").is_dir()


def test_rows_that_fail_alike_are_one_line(tmp_path):
    rows = [f"  - {{label: row {n}, overrides: [data=nowhere, width={8 + n}]}}\n" for n in range(4)]
    for few, said in (
        (2, "row 0, row 1: unknown option data=nowhere"),
        (4, "row 0 and 3 other rows: unknown option data=nowhere"),
    ):
        sheet = "title: t\nruns:\n" + "".join(rows[:few])
        (line,) = problems(make(tmp_path / f"s{few}", claims_yaml="[]", widths_yaml=sheet))
        assert f"widths.yaml: {said}" in line


def test_check_says_a_mistake_in_a_run_that_a_claim_names_once(tmp_path):
    sheet = SHEET.replace("width=16", "gnn.hiden=16")
    lines = list(problems(make(tmp_path / "s", widths_yaml=sheet)))
    assert [line.partition(";")[0].rpartition("/")[2] for line in lines] == [
        "widths.yaml: wide: unknown group or key 'gnn.hiden'"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("less", Claimed(-1)), ("more", Claimed(1)), ("equal", Claimed(0)),
        ("-39.1 %", Claimed(-1, 0.391)), ("'+17 %'", Claimed(1, 0.17)), ("x100", Claimed(1, 99.0)),
        ("×1.5", Claimed(1, 0.5)), ("at least +17 %", Claimed(1, 0.17, at_least=True)),
        ("x0.5", Claimed(-1, 0.5)), ("at least x0.25", Claimed(-1, 0.75, at_least=True)),
    ],
)  # fmt: skip
def test_what_a_claim_may_say(tmp_path, text, expected):
    (claim,) = claimed(make(tmp_path / "s", claims_yaml=CLAIM.format(text)))
    assert (claim.runs, claim.pairs) == ("widths", (("wide", "narrow"),))
    assert claim.claimed == expected


def test_the_command_behind_a_new_study_is_what_a_person_types(bench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "cd 'two words/mine' && " in bench("study", "new", "two words/mine")


def test_a_name_that_cannot_be_one(bench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bench("study", "new", "mine")
    assert "is there already" in bench("study", "new", "mine", status=2)
    Path("mine/claims.yaml").unlink()  # as where the process was killed
    Path("mine/.x.bench-unfinished").touch()
    bench("study", "new", "mine")
    assert Path("mine/claims.yaml").is_file()
    Path("mine/claims.yaml").unlink()
    Path("mine/study.yaml").write_text("title: My own\n")
    assert "is there already" in bench("study", "new", "mine", status=2)
    assert "cannot name a study" in bench("study", "new", "x y", status=2)
    assert "of the program's own" in bench("study", "new", "generalisation", status=2)


def test_a_command_typed_elsewhere_names_the_studys_variants(bench, tmp_path, monkeypatch):
    text = SHEET.replace("width=16", "scalars=inverse").replace("width=8", "scalars=none")
    own = (
        "from deepset_bench.variants import scalar\n\n\n"
        '@scalar("inverse")\ndef inverse(d):\n    return 1 / d\n'
    )
    make(tmp_path / "s", widths_yaml=text, variants_py=own)
    write(tmp_path / "runs", [], 0, 0.02)
    monkeypatch.chdir(tmp_path)
    said = bench("tables", "s")
    assert f"bench train scalars=inverse seed=0 --variants {tmp_path}/s/variants.py" in said
    monkeypatch.chdir(tmp_path / "s")
    said = bench("tables", "--runs-dir", "../runs")
    assert "bench train scalars=inverse runs_dir=../runs seed=0\n" in said


def test_a_broken_study_hides_no_other(bench, tmp_path, monkeypatch):
    make(tmp_path / "sound")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.yaml").write_text("[]")
    monkeypatch.chdir(tmp_path)
    said = bench("study", "list")
    assert re.search(r"^sound +1 +Is wide better\?", said, re.MULTILINE)
    assert re.search(r"^broken +cannot be read: ", said, re.MULTILINE)


def test_words_that_are_not_text_are_one_line(tmp_path):
    study = make(tmp_path / "s")
    (tmp_path / "s" / "findings.md.j2").write_bytes(b"## a\n\xff\xfe")
    (line,) = problems(study)
    assert "findings.md.j2: cannot be read" in line


def test_a_dry_run_says_which_runs_are_others(bench, tmp_path, monkeypatch):
    make(tmp_path / "s", claims_yaml=CLAIM.format("equal"))
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "runs", [], 0, 0.02).write_status("done", "another")
    said = bench("sweep", "s", "width=128", "--dry-run")
    assert "holds another run" in said
    assert "1 failed" in said
    assert "1 queued" in bench("sweep", "s", "width=128", "--dry-run", "--fresh")
    assert "every change to be within ± 5 %" in " ".join(bench("tables", "s").split())
