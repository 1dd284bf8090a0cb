"""What a person types behind a command that looks at runs, read the same way by each of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deepset_bench.groups import is_override

if TYPE_CHECKING:
    from deepset_bench.study.collect import Where


def each_once(words: list[str] | None) -> list[str]:
    """The overrides among a command's words; two that contradict each other are a mistake."""
    from deepset_bench.overrides import check_once

    typed = [text for text in words or [] if is_override(text)]
    check_once(typed)
    return typed


def asked(
    words: list[str] | None, data: str | None, runs_dir: Path | None
) -> tuple[list[str], Where]:
    """The names of studies and sweeps among a command's words, and which runs are meant."""
    from deepset_bench.study.collect import Where

    given = each_once([*(words or []), *([f"data={data}"] if data else [])])
    names = [text for text in words or [] if not is_override(text)]
    return names, Where(tuple(given), runs_dir)


def conditions(text: str) -> list[str]:
    """Those that are asked for; none, or `both`, for the study's."""
    return [] if text == "both" else [name for name in text.split(",") if name]
