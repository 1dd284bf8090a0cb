"""What was read of a file, kept by the content of that file.

Reading text takes seconds to minutes, reading arrays a tenth of one. A kept set is found by the
SHA-256 of the files, the options and the code that reads; nothing else can make it stale, and
deleting the folder loses nothing but time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from deepset_bench.errors import UserError
from deepset_bench.files import cache_home, digest, write_text
from deepset_bench.molecules.frames import Frames
from deepset_bench.molecules.mapped import is_large
from deepset_bench.readers.options import Options, Reading
from deepset_bench.readers.sources import Source, expand


def cached(
    reader: Callable[..., Reading],
    paths: Sequence[Path],
    name: str,
    options: Options,
    unlabelled: bool = False,
) -> Reading:
    """What the reader makes of the files, read again only if a file or an option is another.

    Raises:
        UserError: whatever `reader` finds; a file that is not there.
    """
    home = cache_home()
    if home is None:
        return reader(*paths, name=name, options=options, unlabelled=unlabelled)
    files = [expand(path) for path in paths]
    for path in (path for part in files for path in part):
        Source.open(path)  # a pipe has no content to go by
    here = Path(__file__).parent
    rooms = here, here.parent / "molecules", here.parent
    code = digest(sorted(path for room in rooms for path in room.glob("*.py")))
    contents = [digest(part) for part in files]
    key = [reader.__name__, contents, name, asdict(options), unlabelled, code, version("ase")]
    digits = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    kept = home / f"{digits}.npz"
    notes = kept.with_suffix(".json")
    with suppress(UserError, OSError, ValueError):  # not there, or damaged
        return Reading(Frames.load(kept), json.loads(notes.read_text(encoding="utf-8")))
    read = reader(*paths, name=name, options=options, unlabelled=unlabelled)
    if is_large(read.frames):
        return read  # packing them takes longer than reading them
    with suppress(OSError):  # no room, or not ours to write: read again next time
        write_text(notes, json.dumps(read.notes))
        read.frames.save(kept)
    return read
