"""What was read is kept by content: found again, never stale, never in the way."""

import lzma
import os
from pathlib import Path

import numpy as np
import pytest

from deepset_bench.errors import UserError
from deepset_bench.readers.cache import cached
from deepset_bench.readers.cp2k import read_cp2k
from deepset_bench.readers.options import Options
from tests.readers.dialects import FRC, POS


class Reader:
    """`read_cp2k` that counts how often it is asked."""

    __name__ = "read_cp2k"

    def __init__(self):
        self.reads = 0

    def __call__(self, *paths, **options):
        self.reads += 1
        return read_cp2k(*paths, **options)


@pytest.fixture
def pair(tmp_path) -> list[Path]:
    paths = [tmp_path / "w-pos-1.xyz", tmp_path / "w-frc-1.xyz"]
    for path, text in zip(paths, (POS, FRC), strict=True):
        path.write_text(text)
    return paths


@pytest.fixture
def kept(own_folders) -> Path:
    return own_folders / "data home" / "cache"


def test_the_same_files_are_read_once(pair, kept):
    reader = Reader()
    first = cached(reader, pair, name="water", options=Options())
    again = cached(reader, pair, name="water", options=Options())
    assert reader.reads == 1
    for field in ("numbers", "positions", "energy", "forces", "molecule", "index"):
        np.testing.assert_array_equal(getattr(first.frames, field), getattr(again.frames, field))
    assert again.frames.bias_forces is None
    assert again.notes == first.notes
    assert "hartree" in again.notes["units"]["energy"]


def test_the_content_counts_not_the_name_or_time(pair, kept):
    reader = Reader()
    cached(reader, pair, name="water", options=Options())
    for path in pair:
        os.utime(path, (0, 0))
        path.rename(path.with_name(f"other {path.name}"))
    cached(
        reader,
        [path.with_name(f"other {path.name}") for path in pair],
        name="water",
        options=Options(),
    )
    assert reader.reads == 1


@pytest.mark.parametrize("change", ["content", "packing", "order", "option", "code"])
def test_whatever_else_changes_is_read_again(pair, kept, monkeypatch, change):
    reader = Reader()
    options = {"name": "water", "options": Options(frames="1-3")}
    cached(reader, pair, **options)
    if change == "content":
        pair[0].write_text(POS.replace("0.0200000000", "0.0200000001"))
    elif change == "packing":
        packed = pair[0].with_name("w-pos-1.xyz.xz")
        packed.write_bytes(lzma.compress(POS.encode()))
        pair = [packed, pair[1]]
    elif change == "option":
        options["options"] = Options(frames="1-2")
    elif change == "code":
        monkeypatch.setattr("deepset_bench.readers.cache.__file__", str(pair[0]))
        (pair[0].parent / "cp2k.py").write_text("# another reader")
    if change == "order":
        with pytest.raises(UserError, match="exchanged"):
            cached(reader, pair[::-1], **options)
    else:
        cached(reader, pair, **options)
    assert reader.reads == 2


def test_a_damaged_copy_is_read_again(pair, kept):
    reader = Reader()
    first = cached(reader, pair, name="water", options=Options())
    (file,) = kept.glob("*.npz")
    file.write_bytes(file.read_bytes()[:-100])
    again = cached(reader, pair, name="water", options=Options())
    assert reader.reads == 2
    np.testing.assert_array_equal(first.frames.forces, again.frames.forces)


def test_no_room_for_a_copy_is_no_error(pair, kept):
    kept.parent.mkdir()
    kept.write_text("a file, not a folder")
    assert len(cached(read_cp2k, pair, name="water", options=Options()).frames) == 4


def test_damaged_files_leave_no_copy(pair, kept):
    pair[0].write_text(POS[:-4])
    with pytest.raises(UserError, match="the file ends within"):
        cached(read_cp2k, pair, name="water", options=Options())
    assert not kept.exists()
