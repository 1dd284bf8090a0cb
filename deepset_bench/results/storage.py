"""Tables of texts as files: CSV, plain or packed by gzip, and Parquet."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepset_bench import bounds, file_version
from deepset_bench.errors import UserError, one_line
from deepset_bench.files import atomic_write
from deepset_bench.surroundings import of_file, require

ENDINGS = (".csv", ".csv.gz", ".parquet")
_VERSION_COLUMN = "table_version"
_LONGEST = 2**31 - 1


@dataclass(frozen=True)
class Rows:
    """A table.

    Attributes:
        header: names of the columns, each once.
        rows: as many texts each; empty where there is nothing.
    """

    header: list[str]
    rows: list[list[str]]


def ending(file: Path) -> str:
    """Which of ENDINGS a file has.

    Raises:
        UserError: none of them.
    """
    for one in ENDINGS:
        if file.name.endswith(one) and file.name != one:
            return one
    raise UserError(f"{file}: a table of results ends in {', '.join(ENDINGS)}")


def bare(file: Path) -> Path:
    """The file's name without its ending."""
    return file.with_name(file.name.removesuffix(ending(file)))


def write(file: Path, table: Rows) -> None:
    """Write a whole table, or leave the old one.

    Raises:
        NotInstalled: Parquet without pyarrow.
    """
    header = [_VERSION_COLUMN, *table.header]
    rows = [[str(file_version.VERSION), *row] for row in table.rows]
    packed = ending(file)
    content = _parquet(header, rows) if packed == ".parquet" else _csv(header, rows)
    if packed == ".csv.gz":
        content = gzip.compress(content, mtime=0)  # the same bytes whenever it is written
    with atomic_write(file) as stream:
        stream.write(content)


def read(file: Path, known: Callable[[str], bool], needed: Sequence[str]) -> Rows:
    """What `write` wrote.

    Args:
        file: its name.
        known: whether a column may be there.
        needed: columns that are.

    Raises:
        UserError: it cannot be read, is of another version, lacks a column or has one too many; the
            message has the row, counted with that of the headings.
        NotInstalled: Parquet without pyarrow.
    """
    try:
        lines = (_from_parquet if ending(file) == ".parquet" else _from_csv)(file)
        header = next(lines, [])
        rows = list(lines)
    except (OSError, EOFError, ValueError, csv.Error) as error:
        raise UserError(f"{file}: cannot be read ({of_file(file, error)})") from None
    for name in (_VERSION_COLUMN, *needed):
        if header.count(name) != 1:
            many = "has no" if name not in header else "has more than one"
            raise UserError(f"{file}: {many} column {name}, as tables of bench results export have")
    for name in header:
        if not known(name) and name != _VERSION_COLUMN:
            raise UserError(f"{file}: unknown column {name!r:.60}; delete it")
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise UserError(f"{file}: has more than one column {twice}")
    place = header.index(_VERSION_COLUMN)
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise UserError(f"{file}: row {number} has {len(row)} cells, not {len(header)}")
        version = row.pop(place)
        short = version.isdecimal() and len(version) < 9
        if wrong := file_version.unknown(int(version) if short else version):
            raise UserError(f"{file}: row {number}, column {_VERSION_COLUMN}: {wrong}")
    return Rows([name for name in header if name != _VERSION_COLUMN], rows)


def _csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([header, *rows])
    return stream.getvalue().encode()


def _from_csv(file: Path) -> Iterator[list[str]]:
    content = bounds.content(file, bounds.ROWS)
    if file.suffix == ".gz":
        bound = bounds.unpacked(len(content))
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            content = stream.read(bound + 1)
        if len(content) > bound:
            raise bounds.too_large("it unpacks to", bound)
    csv.field_size_limit(_LONGEST)
    return csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)


def _parquet(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    require("pyarrow.parquet", "parquet")
    import pyarrow
    from pyarrow import parquet

    columns = [_typed([row[place] for row in rows]) for place in range(len(header))]
    arrays = [pyarrow.array(values, type=kind) for kind, values in columns]
    stream = io.BytesIO()
    parquet.write_table(pyarrow.table(arrays, names=list(header)), stream, compression="zstd")
    return stream.getvalue()


def _typed(texts: Sequence[str]) -> tuple[str, list[Any]]:
    """A column as numbers where each of them gives its text back; null among numbers is NaN."""
    there = [text for text in texts if text]
    kinds: tuple[tuple[str, Callable[[str], Any]], ...] = (
        ("bool", lambda text: {"true": True, "false": False}[text]),
        ("int64", int),
        ("float64", lambda text: float("nan" if text == "null" else text)),
    )
    for kind, made in kinds:
        with suppress(ValueError, KeyError):
            if all(_text(made(text)) == text for text in there):
                values = [made(text) if text else None for text in texts]
                if kind != "int64" or all(v is None or -(2**63) <= v < 2**63 for v in values):
                    return kind, values
    return "string", [text or None for text in texts]


def _text(value: Any) -> str:
    """What a cell of Parquet is in CSV."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value != value:
        return "null"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise ValueError(f"holds {type(value).__name__}, not numbers and text")


def _from_parquet(file: Path) -> Iterator[list[str]]:
    require("pyarrow.parquet", "parquet")
    import pyarrow
    from pyarrow import parquet

    try:
        with bounds.opened(file) as stream:
            facts = parquet.read_metadata(stream)
            size = sum(facts.row_group(n).total_byte_size for n in range(facts.num_row_groups))
            cells = facts.num_rows * facts.num_columns
            bound = bounds.unpacked(file.stat().st_size)
            if max(size, cells) > bound:
                raise bounds.too_large("it unpacks to", bound)
            table = parquet.read_table(stream)
    except pyarrow.ArrowException as error:
        raise ValueError(one_line(error)) from None
    columns = [[_text(value) for value in column.to_pylist()] for column in table.columns]
    return iter([list(table.column_names), *map(list, zip(*columns, strict=True))])
