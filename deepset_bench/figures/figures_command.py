"""`bench figures`: which figures, where to, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from plotly.graph_objects import Figure as Interactive
from plotly.offline import get_plotlyjs
from rich.text import Text

from deepset_bench import html
from deepset_bench.console import Console
from deepset_bench.errors import UserError
from deepset_bench.figures.figure import Figure, Gap
from deepset_bench.figures.interactive import plot, templates
from deepset_bench.figures.offered import build, of_study
from deepset_bench.figures.static import encoded
from deepset_bench.files import atomic_write, check_writable, write_text
from deepset_bench.study.collect import Where
from deepset_bench.study.tables_command import asked_for, conditions_shown
from deepset_bench.sweep import folders
from deepset_bench.sweep.studies import find, of_words

_SCRIPT = "plotly.min.js"
"""Beside the pages rather than in each of them: it has 5 MB, a page without it some 50 kB."""


def show(
    words: Sequence[str],
    conditions: Sequence[str],
    unit: str,
    out: Path,
    where: Where,
) -> None:
    """Draw figures into `out` as NAME.pdf, .png, .html and, its caption, .txt; say what is missing.

    Args:
        words: a study, or comparisons of one; names of its figures, or numbers of a publication's.
            No study: the one at hand, or what the overrides list; no figure: every one.
        conditions: to show; none: those of the study.
        unit: `hartree` or `mev`.
        out: folder for the files.
        where: which runs.

    Raises:
        UserError: an unknown figure, an override that does not compose, an unreadable run.
    """
    console = Console()
    check_writable(out)
    named, names = apart(words)
    studies, where = asked_for(named, where)
    figures = []
    for study in studies:
        figures += build(of_study(study), where, conditions_shown(study, conditions), unit, names)
    if any(figure.draw for figure in figures):
        write_text(out / _SCRIPT, get_plotlyjs())
    said: set[Gap] = set()
    for figure in figures:
        console.print(Text(figure.title, style="bold"))
        gaps = figure.missing
        try:
            for path in write(figure, out):
                console.print(f"  {path}", soft_wrap=True)
        except UserError as error:  # of these data; other figures may do without them
            gaps = [*gaps, (f"not drawn: {error}", "")]
        for what, command in gaps:
            if (what, command) not in said:
                console.print(Text(f"— {what}"))
                if command:  # whole, to be copied: the terminal breaks it, not rich
                    console.print(Text(f"  {command}", style="cyan"), soft_wrap=True)
        if again := len(said.intersection(gaps)):
            console.print(Text(f"— {'and ' if again < len(gaps) else ''}{again} named above"))
        said |= set(gaps)


def apart(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """What of these names studies and comparisons, and what figures; a figure comes first."""
    named = [word for word in words if folders.of_word(word) or Path(word).is_file()]
    listed = {entry.name for entry in of_study(of_words(named)[0]).listed or ()}
    names = []
    for word in words:
        if word in named:
            continue
        if word in listed or word.isdecimal() or not _is_comparison(word):
            names.append(word)
        else:
            named.append(word)
    return named, names


def _is_comparison(word: str) -> bool:
    try:
        find(word)
    except UserError:
        return False
    return True


def write(figure: Figure, out: Path) -> list[Path]:
    """The files of one figure, as many as there is something to draw for: four or none."""
    if figure.draw is None or figure.interactive is None:
        return []
    drawn = figure.draw()
    paths = []
    for ending in ("pdf", "png"):
        content = encoded(drawn, ending)  # a whole picture before any file
        paths.append(out / f"{figure.name}.{ending}")
        with atomic_write(paths[-1]) as stream:
            stream.write(content)
    paths.append(out / f"{figure.name}.html")
    write_text(paths[-1], page(figure, figure.interactive()))
    paths.append(out / f"{figure.name}.txt")
    write_text(paths[-1], f"{figure.title}\n\n{figure.caption}\n")
    return paths


def page(figure: Figure, drawn: Interactive) -> str:
    """An HTML page around a plotly figure; needs `plotly.min.js` beside it and no network."""
    return html.render(
        "figure.html",
        figure=figure,
        plots={figure.name: plot(drawn)},
        templates=templates(),
        script=_SCRIPT,
    )
