"""The documentation builds without a network, and what it says to type and to write works."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import typer
import yaml

from deepset_bench import cli, grammar, registry
from deepset_bench.config import experiment
from deepset_bench.evaluation import evaluate_command as evaluation
from deepset_bench.files import data_home, write_text
from deepset_bench.results.opening import opened
from deepset_bench.schema import flat
from deepset_bench.study.new import make
from deepset_bench.surroundings import STUDY
from deepset_bench.sweep import folders, studies
from deepset_bench.sweep.axes import combinations
from deepset_bench.sweep.executors.chosen import apart, chosen
from tests.study.shipped import asked_for
from tests.training.tiny import UNMOVED, run

pytest.importorskip("mkdocs")

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), *sorted((DOCS / "reference").glob("*.md"))]
NOWHERE = "http://127.0.0.1:9"
OWN_DATA = ("glycol", "mine", "butane", "scan", "acac-300K", "ethanol500")
"""Sets that a reader of the pages has imported, fetched or generated."""


class Page(HTMLParser):
    """What a page loads, where it leads and what can be led to."""

    LOADING = ("script", "link", "img", "iframe", "source", "video", "audio", "object", "embed")

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.leads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.anchors |= {given[key] for key in ("id", "name") if key in given}
        addresses = [given[key] for key in ("href", "src", "data") if key in given]
        if tag in self.LOADING:
            self.loads += addresses
        elif tag == "a":
            self.leads += addresses


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built pages."""
    folder = tmp_path_factory.mktemp("site")
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), NOWHERE)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1", **proxies}
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_page_is_in_the_navigation_and_built(site):
    listed = re.findall(r":? (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    generated = {"reference/cli.md", "reference/configuration.md"}
    assert set(listed) == {str(page.relative_to(DOCS)) for page in PAGES} | generated
    for name in listed:
        assert (site / name).with_suffix(".html").is_file()


def test_nothing_is_loaded_from_elsewhere(site, pages):
    for path, page in pages.items():
        assert page.loads
        for address in page.loads:
            assert not urlsplit(address).netloc, f"{path}: {address}"
    for sheet in site.rglob("*.css"):
        found = re.findall(r"url\(['\"]?(?:https?:)?//|@import", sheet.read_text(encoding="utf-8"))
        assert not found, sheet


def test_every_link_leads_somewhere(site, pages):
    for path, page in pages.items():
        for address in {*page.leads, *page.loads}:
            parts = urlsplit(address)
            if parts.scheme or path.name == "404.html":  # served from any folder: absolute links
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{path.relative_to(site)}: {address}"
            if parts.fragment and target.suffix == ".html":
                anchors = pages[target].anchors
                assert unquote(parts.fragment) in anchors, f"{path.relative_to(site)}: {address}"


def test_generated_pages_have_every_command_and_key(site):
    page = (site / "reference" / "cli.html").read_text(encoding="utf-8")
    leaves = list(commands(typer.main.get_command(cli.app)))
    assert len(leaves) > 10
    for words, _ in leaves:
        assert f">bench {' '.join(words)}<" in page
    page = (site / "reference" / "configuration.html").read_text(encoding="utf-8")
    config = yaml.safe_load((ROOT / "conf" / "config.yaml").read_text())
    del config["defaults"]
    for group in (path.name for path in (ROOT / "conf").iterdir() if path.is_dir()):
        for option in (ROOT / "conf" / group).glob("*.yaml"):
            content = yaml.safe_load(option.read_text())
            content.pop("defaults", None)
            everywhere = "@package _global_" in option.read_text()
            config |= flat(content, "" if everywhere else f"{group}.")
    for key in config:
        assert f"<code>{key}" in page, key


def test_equations_are_drawn_by_the_browser(site):
    page = (site / "model.html").read_text(encoding="utf-8")
    assert page.count("<math ") > 10
    assert "arithmatex" not in page


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of the command line with the words that call it."""
    if not hasattr(command, "commands"):
        yield words, command
        return
    for name, member in command.commands.items():
        yield from commands(member, (*words, name))


def lines_to_type(path: Path) -> list[str]:
    """The bench commands of a page, inline and in blocks, where two blanks or # begin a remark."""
    text = re.sub(r"\\\n\s*", "", path.read_text(encoding="utf-8"))
    for name, first in re.findall(r"^for (\w+) in (\S+)", text, re.MULTILINE):
        text = text.replace(f"${name}", first)
    blocks = re.findall(r"^(?: *| *\$ )(bench .*)$", text, re.MULTILINE)
    fenced = "".join(re.findall(r"^```.*?^```$", text, re.MULTILINE | re.DOTALL))
    indented = "\n".join(re.findall(r"^ {4}.*$", text, re.MULTILINE))
    blocks = [line for line in blocks if line in fenced or line in indented]
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    inline = [" ".join(found.split()) for found in re.findall(r"`(bench\s[^`]+)`", prose)]
    return [re.split(r" {2,}| \| ", line)[0].rstrip() for line in blocks] + inline


@pytest.fixture(scope="module")
def tree() -> Any:
    """The command line, whose commands only return their words and parameters."""
    root = typer.main.get_command(cli.app)
    for words, command in commands(root):
        command.callback = lambda words=words, **given: (words, given)
    return root


def parsed(tree: Any, line: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The command's words and parameters, as the command line understands them."""
    arguments = shlex.split(re.sub(r"\$\w+", "0", line), comments=True)[1:]
    assert not any(word.startswith("--install") for word in arguments), "it would be done"
    return tree.main(grammar.uniform(arguments, tree), standalone_mode=False)


def compose(words: tuple[str, ...], given: dict[str, Any]) -> None:
    """Compose what a command would train or evaluate."""
    if words in (("train",), ("config",)):
        experiment(given["overrides"] or [])
    elif words == ("sweep",):
        where, typed = apart(given["runs"])
        chosen(where)
        overrides = [text for text in typed if "=" in text]
        first: tuple[str, ...] = ()
        if words := [text for text in typed if "=" not in text]:
            (study,) = studies.of_words(words)
            first = [*study.tables, *study.unseen][0].runs[0].overrides
        for line in combinations([*first, *overrides], given["seeds"]):
            experiment(line)
    elif words == ("evaluate",):
        experiment(evaluation.parse(given["arguments"], given["steps"]).data)
    elif words == ("tables",):
        for line in combinations([text for text in given["wanted"] or [] if "=" in text]):
            experiment(line)


def block(language: str, text: str) -> str:
    """The first block of the tutorial in a language that holds a text."""
    tutorial = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", tutorial, re.MULTILINE | re.DOTALL)
    return next(found for found in blocks if text in found)


@pytest.fixture
def followed(own_folders, monkeypatch) -> None:
    """What a reader of the tutorial has: sets, two options and a class."""
    conf = data_home() / "conf"
    for name in OWN_DATA:
        sheet = (ROOT / "conf" / "data" / "but-2-ene.yaml").read_text()
        write_text(conf / "data" / f"{name}.yaml", sheet.replace("but-2-ene", name))
    write_text(conf / "rbf" / "fine.yaml", block("yaml", "size: 64"))
    monkeypatch.chdir(data_home())
    write_text(data_home() / "mine.yaml", block("yaml", "title: Does"))
    make(Path("glycol"), "glycol")
    tuning = (DOCS / "studies.md").read_text(encoding="utf-8")
    found = re.search(r"^```yaml\n(title: Settings.*?)^```$", tuning, re.MULTILINE | re.DOTALL)
    assert found is not None
    write_text(Path("glycol") / "tuning.yaml", found[1])
    page = (DOCS / "variants.md").read_text(encoding="utf-8")
    own = re.search(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert own is not None
    write_text(data_home() / "variants.py", own[1] + block("python", "class BesselBasis"))
    monkeypatch.setenv(registry.ENVIRONMENT, str(data_home() / "variants.py"))


@pytest.mark.parametrize("path", [ROOT / "README.md", *PAGES], ids=lambda path: path.stem)
def test_what_a_page_says_to_type_is_understood(path, tree, followed, monkeypatch):
    names = {f"bench {' '.join(words)}" for words, _ in commands(tree)} | {"bench data"}
    for line in dict.fromkeys(lines_to_type(path)):
        # No more than a command's name, in a sentence, or its help.
        if line.removesuffix(" --help") in {*names, "bench"}:
            continue
        monkeypatch.setenv(STUDY, "")
        try:
            found = parsed(tree, line)
            for folder in folders.shipped():
                if folder != folders.usual() and folder.name in shlex.split(line):
                    monkeypatch.setenv(STUDY, str(folder))
            # Pages of tables are written by the program: dozens of sweeps.
            if path.stem not in ("results", "generalisation", "report_trajectory", "peers"):
                compose(*found)
        except Exception as error:
            if "says where from" in str(error):  # a study on sets that a person has to fetch
                continue
            raise AssertionError(f"{path.name}: {line}") from error


def test_commands_are_found_and_nonsense_is_not_understood(tmp_path, tree, followed):
    page = tmp_path / "page.md"
    page.write_text(
        "`bench status`\n\n    bench train seed=1  remark\n\n```sh\nbench nothing\n```\n"
    )
    assert lines_to_type(page) == ["bench train seed=1", "bench nothing", "bench status"]
    assert parsed(tree, "bench train seed=1")[1]["overrides"] == ["seed=1"]
    for line in ("bench nothing", "bench status --wrong", "bench data show"):
        with pytest.raises(Exception, match=r"No such|Missing|has no command"):
            parsed(tree, line)


@pytest.mark.parametrize("option", ["fine", "bessel"])
def test_the_variants_of_the_tutorial_train(option, tiny, followed):
    """Alike in both forms: a new basis is differentiated rightly."""
    errors = [
        flat(run(f"rbf={option}", f"form={form}", *UNMOVED).result["metrics"]["val"])
        for form in ("fused", "reference")
    ]
    assert errors[0] == pytest.approx(errors[1], rel=1e-3)


def test_every_script_is_on_the_page_of_examples():
    page = (DOCS / "examples.md").read_text(encoding="utf-8")
    included = re.findall(r'^    --8<-- "(.*)"$', page, re.MULTILINE)
    assert sorted(included) == sorted(
        str(path.relative_to(ROOT)) for path in (DOCS / "examples").glob("*.py")
    )


def test_the_committed_runs_are_those_of_the_report():
    """All twenty variants, under both conditions."""
    variants = {experiment(run.overrides).variant for run in asked_for("report").runs}
    assert len(variants) == 20
    runs = opened(DOCS / "results.csv")
    for condition in ("report", "corrected"):
        home = runs.root / "but-2-ene" / condition
        assert all(runs.is_there(home / variant) for variant in variants)
