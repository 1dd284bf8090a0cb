"""`bench study`: make a study, see whether it holds together, register it, list those there are."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepset_bench.cli.arguments import RunsDir
from deepset_bench.cli.plain import PLAIN
from deepset_bench.errors import UserError
from deepset_bench.surroundings import say

if TYPE_CHECKING:
    from deepset_bench.stamps import Rule

Study = Annotated[
    str | None,
    typer.Argument(help="A study (default: the one in this folder, else the case study)."),
]
app = typer.Typer(
    **PLAIN,
    help="A study is a folder with study.yaml: a question, runs to compare, claims, figures.",
)


@app.command()
def new(
    name: Annotated[Path, typer.Argument(help="Name of the study and of its folder.")],
    data: Annotated[
        str | None,
        typer.Option(
            help="The set to train on (default: the set with the name of the study, if there is "
            "one, else that of bench train)."
        ),
    ] = None,
) -> None:
    """Make a study that runs as it is; edit its files to ask your own question."""
    from deepset_bench.data import catalogue
    from deepset_bench.study.new import make

    paths, chosen = make(name, data)
    for path in paths:
        say(path)
    if chosen not in catalogue.names():
        say(
            f"there is no set {chosen} yet: bench data generate {chosen} --smiles SMILES, or import"
        )
    say("edit study.yaml (question, data), comparison.yaml (runs), claims.yaml, variants.py; then")
    say(
        f"cd {shlex.quote(str(name))} && bench study check && bench study register --seeds 3 && "
        "bench sweep --seeds 3 && bench report"
    )


@app.command()
def check(
    study: Study = None,
    runs_dir: RunsDir = None,
) -> None:
    """List the mistakes in a study, one per line; exit status 1 if there are any.

    Without any, also say whether the study is still what was registered.
    """
    from deepset_bench.page.study_check import problems
    from deepset_bench.study.claimed import claimed
    from deepset_bench.sweep.registered import standing
    from deepset_bench.sweep.studies import of_words

    (found,) = of_words([study] if study else [])
    lines = [*problems(found)]
    for line in lines:
        say(line)
    if lines:
        raise typer.Exit(1)
    rows = sum(len(one.runs) for one in found.comparisons.values())
    counts = {"comparison": len(found.comparisons), "row": rows, "claim": len(claimed(found))}
    each = [f"{number} {what}{'' if number == 1 else 's'}" for what, number in counts.items()]
    say(f"{found.name}: its files hold together: {', '.join(each)}")
    say(f"{found.name}: {standing(found, runs_dir)}")


@app.command()
def register(
    study: Study = None,
    looks: Annotated[
        str | None,
        typer.Option(
            help="Numbers of seeds after which you look whether a verdict is decided "
            "(default: those of study.yaml, else 3,5,8,12,20)."
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=2, help="You look once, after this number of seeds.")
    ] = None,
    runs_dir: RunsDir = None,
) -> None:
    """Record what a study claims and how it is decided, before its runs are made.

    Claims, margin, metrics, conditions, rows and the stopping rule get a hash and the time. Runs
    that start later carry both, and tables say of each verdict whether it was stated before.
    """
    from deepset_bench.page.study_check import problems
    from deepset_bench.stamps import rule_text
    from deepset_bench.sweep import registered
    from deepset_bench.sweep.folders import stood_in
    from deepset_bench.sweep.studies import of_words

    rule = _rule(looks, seeds)
    if not study and stood_in() is None:
        raise UserError(
            "here is no study to register (study.yaml): go to its folder, or name it, as in "
            "bench study register FOLDER"
        )
    (found,) = of_words([study] if study else [])
    rule = rule or {"looks": list(found.looks)}
    if line := next(problems(found), ""):
        raise UserError(f"{found.name} does not hold together, so nothing is registered: {line}")
    entry, path = registered.register(found, rule, runs_dir)
    if path is None:
        say(f"{found.name}: registered already, and nothing changed since: {entry}")
        return
    say(f"{found.name}: registered {entry.time}, hash {entry.hash}; {rule_text(rule)}")
    say(path)


@app.command()
def tune(study: Study = None, runs_dir: RunsDir = None) -> None:
    """Choose the settings of each network by its trials, and write them to tuned.yaml.

    tuning.yaml lists networks, validation tasks and settings; bench sweep STUDY/tuning.yaml trains
    the trials. Overrides tuned=NETWORK then stand for what was chosen.
    """
    from rich.table import Table
    from rich.text import Text

    from deepset_bench.console import Console
    from deepset_bench.study import choosing
    from deepset_bench.study.collect import Where
    from deepset_bench.sweep.studies import of_words

    (found,) = of_words([study] if study else [])
    chosen = choosing.choose(found, Where(runs_dir=runs_dir))
    path = choosing.write(found, chosen)
    table = Table(box=None, pad_edge=False)
    for heading in ("network", "as it is", "chosen", "settings"):
        table.add_column(heading, justify="right" if heading in ("as it is", "chosen") else "left")
    for network, (best, *others) in chosen.items():
        first = next(one for one in (best, *others) if one.number == 0)
        settings = " ".join(best.settings) or "as it is"
        table.add_row(Text(network), f"{first.score:.3f}", f"{best.score:.3f}", Text(settings))
    Console().print(table)
    say("scores: mean logarithm of validation errors over those of knowing nothing; less is better")
    say(path)


def _rule(looks: str | None, seeds: int | None) -> Rule | None:
    """The stopping rule that a person types, if they type one."""
    from deepset_bench.stamps import wrong_rule

    if seeds is not None:
        if looks is not None:
            raise UserError("--looks and --seeds are two stopping rules; give one of them")
        return {"seeds": seeds}
    if looks is None:
        return None
    words = looks.split(",")
    numbers = [int(word) for word in words if word.strip().isdecimal()]
    if len(numbers) < len(words) or wrong_rule({"looks": numbers}):
        raise UserError(f"--looks {looks}: give ascending numbers of seeds from 2 on, as in 3,5,8")
    return {"looks": numbers}


@app.command("list")
def list_() -> None:
    """List the studies in this folder and those that come with the program."""
    from rich.table import Table
    from rich.text import Text

    from deepset_bench.console import Console
    from deepset_bench.surroundings import SHEET
    from deepset_bench.sweep import folders, studies

    here = [Path()] if Path(SHEET).is_file() else []
    here += sorted(path.parent for path in Path().glob(f"*/{SHEET}"))
    table = Table(box=None, pad_edge=False)
    for heading in ("study", "comparisons", "title"):
        table.add_column(heading, justify="right" if heading == "comparisons" else "left")
    for folder in [*here, *folders.shipped()]:
        try:
            study = studies.read(folder)
        except UserError as error:  # the others are there all the same
            table.add_row(Text(str(folder)), "", Text(f"cannot be read: {error}"))
            continue
        name = str(folder) if folder in here and folder != Path() else study.name
        table.add_row(Text(name), str(len(study.comparisons)), Text(study.title))
    Console().print(table)
