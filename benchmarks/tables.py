"""Tables of the benchmarks, for the terminal and for docs/performance.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deepset_bench.files import write_text


@dataclass(frozen=True)
class Table:
    """Rows of text under a title; the first column is left-aligned, the others are numbers."""

    title: str
    note: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """As Markdown, a paragraph for the title and one for the note."""
        lines = [f"**{self.title}** {self.note}", "", _row(self.header)]
        lines.append(_row(["---"] + ["---:"] * (len(self.header) - 1)))
        return "\n".join(lines + [_row(row) for row in self.rows]) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def replace_section(page: Path, name: str, content: str) -> None:
    """Put `content` between the page's comments `bench:NAME` and `/bench:NAME`.

    A page without them gets them at its end, so that the text around them is anyone's to write.
    """
    text = page.read_text(encoding="utf-8") if page.is_file() else "# Performance\n"
    section = f"<!-- bench:{name} -->\n{content}\n<!-- /bench:{name} -->\n"
    pattern = re.compile(rf"<!-- bench:{name} -->\n.*?<!-- /bench:{name} -->\n", re.DOTALL)
    new, found = pattern.subn(lambda _: section, text)
    write_text(page, new if found else f"{text}\n{section}")
