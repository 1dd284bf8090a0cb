"""Tables for the terminal, as Markdown, LaTeX (booktabs, siunitx) and CSV, from one frame."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from deepset_bench.console import Console
from deepset_bench.files import csv_text
from deepset_bench.study.layout import Cell, Page, Section
from deepset_bench.study.sections import EVIDENCE
from deepset_bench.study.tables import CHANGES, NUMBERS, Table
from deepset_bench.study.time_tables import IN_MS

_LATEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "—": "---",
    "–": "--",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "Δ": r"$\Delta$",
    "→": r"$\rightarrow$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "Å": r"\AA{}",
    "σ": r"$\sigma$",
    "°": r"$^\circ$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
}
_BEGINS = re.compile(r"<(?=[A-Za-z/!?])|(?<=\])\(")
_PAGE, _HEAD = 45, 5
"""Rows that a page of paper holds beside notes, and what a block's headings take of them."""


def terminal(page: Page, console: Console) -> None:
    """Print; conditions side by side where the terminal is wide enough, else one by one.

    A file or a pipe has no bold letters: a mark stands for them.
    """
    mark = "" if console.color_system else _BOLD
    console.print(Text(page.title, style="bold"))
    for block in page.blocks:
        drawn = terminal_block(block, mark)
        anything = console.options.update(max_width=10_000)
        fits = Measurement.get(console, anything, drawn).maximum <= console.width
        for part in [block] if fits or block.wraps else block.narrow():
            if part.heading:  # not the table's own title, which breaks where the table ends
                console.print(Text(part.heading, style="italic"))
            console.print(terminal_block(part, mark))
    for note in page.notes:
        console.print(Text(note, style="dim"))
    numbers = (cell for block in page.blocks if not block.wraps for r in block.rows for cell in r)
    if mark and any(cell.bold for cell in numbers):
        console.print(Text(f"{mark}: bold, where letters can be."))
    for what, command in page.missing:
        console.print(Text(f"— {what}"))
        if command:  # whole, to be copied: the terminal breaks it, not rich
            console.print(Text(f"  {command}", style="cyan"), soft_wrap=True)
    console.print()


_BOLD = "*"
"""Behind numbers that are bold, where no letters can be."""
_SHORT = ("condition", "verdict", "stated")
"""Columns whose words stay together though others of their section may wrap."""


def terminal_block(block: Section, mark: str) -> RichTable:
    """Its rows; numbers stand to the right, texts that may wrap to the left.

    Args:
        block: what to draw.
        mark: behind bold numbers.
    """
    drawn = RichTable(
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        show_lines=block.wraps,
    )
    last = ""
    ratios = {block.columns[0][1]: 2, EVIDENCE: 3} if block.wraps else {}
    for position, (group, name) in enumerate(block.columns):
        # A condition stands once, over the first of its columns.
        heading = f"{group}\n{name}" if group != last else name
        last = group
        drawn.add_column(
            heading,
            justify="left" if position == 0 or block.wraps else "right",
            # Where the terminal is too narrow, labels have more lines; numbers are never cut.
            no_wrap=not (block.wraps or position == 0) or name in _SHORT,
            vertical="top" if block.wraps else "bottom",
            ratio=ratios.get(name),
            # Where a line breaks behind a wide character, rich's usual "…" takes a letter away.
            overflow="fold" if block.wraps or position == 0 else "ellipsis",
        )
    for row in block.rows:
        texts = []
        for cell in row:
            style = "bold" if cell.bold else "italic" if cell.italic else ""
            behind = mark if cell.bold and not block.wraps else ""
            texts.append(Text(f"{cell.plain}{behind}", style=style))
        drawn.add_row(*texts)
    return drawn


def markdown(page: Page) -> str:
    """GitHub's tables, one for each block."""
    lines = [f"### {markdown_text(page.title)}", ""]
    for block in page.blocks:
        lines += [markdown_block(block), ""]
    lines += [f"{markdown_text(note)}  " for note in page.notes]
    for what, command in page.missing:
        said = f"— {markdown_text(what)}"
        lines += ["", f"{said}:", "", "```sh", command, "```"] if command else ["", said]
    return "\n".join(lines) + "\n"


def markdown_text(text: str) -> str:
    """Text of any origin, in which no line, no element of HTML and no link begins."""
    return _BEGINS.sub(lambda found: f"&#{ord(found[0])};", " ".join(text.splitlines()))


def markdown_block(block: Section) -> str:
    """One block under its heading."""

    def line(texts: Sequence[str]) -> str:
        return (
            f"| {' | '.join(markdown_text(text).replace('|', chr(92) + '|') for text in texts)} |"
        )

    def mark(cell: Cell) -> str:
        sign = "**" if cell.bold else "*" if cell.italic else ""
        return f"{sign}{cell.plain}{sign}"

    headings = [f"{group}: {name}" if group else name for group, name in block.columns]
    right = [":--" if block.wraps or i == 0 else "--:" for i in range(len(headings))]
    rows = [line([mark(cell) for cell in row]) for row in block.rows]
    above = [f"**{block.heading}**", ""] if block.heading else []
    return "\n".join([*above, line(headings), line(right), *rows])


def latex(page: Page) -> str:
    """Table environments for \\usepackage{booktabs,siunitx}; ±half in siunitx's short form."""
    start = r"\begin{table}", r"\centering\footnotesize\setlength{\tabcolsep}{3pt}"
    lines = [*start, rf"\caption{{{latex_text(page.title)}}}"]
    filled = 0
    for block in page.blocks:
        height = len(block.rows) + _HEAD
        if filled and filled + height > _PAGE:
            lines += [r"\end{table}", *start]
            filled = 0
        filled += height
        lines += [latex_block(block), r"\par\medskip"]
    for note in page.notes:
        lines.append(rf"\parbox{{\linewidth}}{{{latex_text(note)}}}\par")
    for what, command in page.missing:
        typed = latex_text(command).replace("'", r"\textquotesingle{}")  # to be copied
        fill = rf": \texttt{{{typed}}}" if command else ""
        lines.append(rf"\parbox{{\linewidth}}{{\raggedright --- {latex_text(what)}{fill}}}\par")
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def latex_block(block: Section) -> str:
    """One tabular; a column of numbers is siunitx's S, aligned at the point."""
    width = rf"p{{{0.9 / len(block.columns):.2f}\linewidth}}"
    kinds = [
        width if block.wraps else _s_column([row[i] for row in block.rows])
        for i in range(len(block.columns))
    ]
    names = [f"{{{latex_text(name)}}}" for _, name in block.columns]
    lines = [rf"\textbf{{{latex_text(block.heading)}}}\\[2pt]"]
    lines += [rf"\begin{{tabular}}{{@{{}}{''.join(kinds)}@{{}}}}", r"\toprule"]
    if any(group for group, _ in block.spans):
        spans, rules, start = [], [], 1
        for group, size in block.spans:
            spans.append(rf"\multicolumn{{{size}}}{{c}}{{{latex_text(group)}}}")
            rules += [rf"\cmidrule(lr){{{start}-{start + size - 1}}}"] if group else []
            start += size
        lines += [" & ".join(spans) + r" \\", "".join(rules)]
    lines += [" & ".join(names) + r" \\", r"\midrule"]
    for row in block.rows:
        cells = [
            _s_cell(cell) if kind.startswith("S") else _text_cell(cell)
            for cell, kind in zip(row, kinds, strict=True)
        ]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def latex_text(text: str) -> str:
    """Text with everything that means something to LaTeX made plain: -- is two hyphens."""
    return re.sub(
        "(-)(?=-)|.", lambda match: "-{}" if match[1] else _LATEX.get(match[0], match[0]), text
    )


def _s_column(cells: Sequence[Cell]) -> str:
    numbers = [cell for cell in cells if cell.value is not None]
    if not numbers:
        return "r" if any(cell.bold for cell in cells) else "l"
    digits = numbers[0].digits
    whole = max(len(f"{abs(cell.value or 0):.0f}") for cell in numbers)
    sign = "-" if any((cell.value or 0) < 0 for cell in numbers) else ""
    halves = [cell.half for cell in numbers if not math.isnan(cell.half)]
    widest = max((len(str(round(half * 10**digits))) for half in halves), default=0)
    spread = f"({widest})" if widest else ""
    return f"S[table-format={sign}{whole}.{digits}{spread},mode=text,detect-weight]"


def _s_cell(cell: Cell) -> str:
    if cell.value is None or cell.text:  # a mark behind a number is no part of it
        return f"{{{latex_text(cell.plain)}}}"
    half = "" if math.isnan(cell.half) else f" +- {cell.half:.{cell.digits}f}"
    return f"{chr(92) + 'bfseries ' if cell.bold else ''}{cell.value:.{cell.digits}f}{half}"


def _text_cell(cell: Cell) -> str:
    style = "textbf" if cell.bold else "textit" if cell.italic else ""
    text = latex_text(cell.plain)
    return rf"\{style}{{{text}}}" if style else text


def _difference(change: str) -> str:
    """What a change is called that is no ratio."""
    return change.replace("change", "difference")


def csv(tables: Sequence[Table], unit: str) -> str:
    """One line a row, part and condition of every table; units stand in the headings.

    A change is METRIC_change, in per cent, or METRIC_difference, in the metric's unit, where an
    error that is zero has no ratio; the other is empty.
    """
    frame = pd.concat([table.frame for table in tables], ignore_index=True)
    renamed = {name: f"{name} / ms" for name in IN_MS}
    for column in {c.name: c for table in tables for c in table.columns}.values():
        size, name, _ = column.metric.shown(unit)
        ratios = frame[f"{column.name}_relative"].astype(bool)
        differences = []
        for of in CHANGES:
            number, plain = (f"{column.name}_{word}" for word in (of, _difference(of)))
            frame.insert(list(frame).index(number), plain, frame[number].mask(ratios))
            frame[number] = 100 * frame[number].where(ratios)
            renamed[number] = f"{number} / (%)"
            differences.append(plain)
        for number in (*differences, *(f"{column.name}_{of}" for of in NUMBERS)):
            frame[number] /= size
            renamed[number] = f"{number} / ({name})" if name else number
    return csv_text(frame.rename(columns=renamed))
