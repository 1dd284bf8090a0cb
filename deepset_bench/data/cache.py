"""What was read of a text file, kept by the content of that file.

Reading text takes seconds to minutes, reading arrays a tenth of one. A kept set is found by the
SHA-256 of the files, the options and the code that reads; nothing else can make it stale, and
deleting the folder loses nothing but time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from deepset_bench.data.frames import Frames
from deepset_bench.data.sources import expand
from deepset_bench.errors import UserError
from deepset_bench.files import cache_home, digest


def cached(reader: Callable[..., Frames], paths: Sequence[Path], **options: Any) -> Frames:
    """`reader(*paths, **options)`, read again only if a file or an option is another.

    Raises:
        UserError: whatever `reader` finds; a file that is not there.
    """
    code = digest(sorted(Path(__file__).parent.glob("*.py")))
    files = [(digest(expand(path)), "".join(path.suffixes)) for path in paths]
    asked = json.dumps([reader.__name__, files, options, code, version("ase")], sort_keys=True)
    home = cache_home()
    if home is None:
        return reader(*paths, **options)
    kept = home / f"{hashlib.sha256(asked.encode()).hexdigest()}.npz"
    with suppress(UserError):  # not there, or damaged
        return Frames.load(kept)
    frames = reader(*paths, **options)
    with suppress(OSError):  # no room, or not ours to write: read again next time
        frames.save(kept)
    return frames
