"""Named sets of frames: those shipped with the program and those a user imported.

A set is a folder with `frames.npz` (`Frames.save`), or where it is large with the folder `frames`
(`mapped.write`), and with `datasheet.yaml`, which among other things holds the SHA-256 of the
frames. An imported set also has a Hydra option file, so that `data=NAME` composes.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from deepset_bench import file_version
from deepset_bench.data.remote import remotes
from deepset_bench.data.splits import divisible, usual_sizes
from deepset_bench.errors import UserError, nearest
from deepset_bench.files import (
    check_writable,
    data_home,
    data_homes,
    data_place,
    digest,
    resource,
    sync,
    unfinished_folder,
    write_text,
)
from deepset_bench.molecules import mapped
from deepset_bench.molecules.frames import Frames
from deepset_bench.reading import read_yaml
from deepset_bench.surroundings import of_study

METHOD_UNKNOWN = "not known: labels as in the source files"
"""What a datasheet says where nobody says which method the labels are of."""

_CONF = "conf"
# The folders of option files, of what was read and what was fetched lie among the sets.
_RESERVED = (_CONF, "cache", "downloads")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FRAMES, _SHEET, _LOCK = "frames.npz", "datasheet.yaml", ".lock"
_LARGE, _SUMMED = "frames", ".summed.json"
_REPLACED = ".replaced"  # where the set that an import replaces is meanwhile


def names() -> list[str]:
    """Every set there is, shipped and imported, in alphabetical order."""
    homes = [resource("datasets"), *of_study("datasets"), *data_homes()]
    sheets = [sheet for home in homes for sheet in home.glob(f"*/{_SHEET}")]
    return sorted({sheet.parent.name for sheet in sheets if _NAME.fullmatch(sheet.parent.name)})


def is_shipped(name: str) -> bool:
    """Whether `name` comes with the program; such a name always means the shipped set."""
    return (resource("datasets") / name / _SHEET).is_file()


def load(name: str) -> Frames:
    """The frames of a set, their checksum verified.

    Raises:
        UserError: no such set (the message has the nearest names), or its files are damaged.
    """
    sheet, folder = datasheet(name), _folder(name)
    path = _frames(folder)
    try:
        found = _sum(folder)
    except UserError as error:
        raise UserError(f"{error}; {_remedy(name)}") from None
    if found != sheet.get("sha256"):
        raise UserError(
            f"{path}: its SHA-256 is {found[:12]}..., the datasheet says "
            f"{str(sheet.get('sha256'))[:12]}...: the data were changed; {_remedy(name)}"
        )
    return mapped.load(path) if path.is_dir() else Frames.load(path)


def _frames(folder: Path) -> Path:
    """Where a set has its frames, as a file or a folder."""
    return folder / _LARGE if (folder / _LARGE).is_dir() else folder / _FRAMES


def _sum(folder: Path) -> str:
    """SHA-256 of the frames of a set.

    Of a large one it is computed once: again only if the size of a file or its time is another.
    """
    path = _frames(folder)
    if not path.is_dir():
        return digest([path])
    files = mapped.files(path)
    states = [(one.name, one.stat()) for one in files]
    facts = [[one, state.st_size, state.st_mtime_ns] for one, state in states]
    try:
        known = json.loads((folder / _SUMMED).read_text(encoding="utf-8"))
        if known["files"] == facts:
            return str(known["sha256"])
    except (OSError, ValueError, LookupError, TypeError):
        pass
    found = digest(files)
    with suppress(OSError):  # read only: computed again next time
        write_text(folder / _SUMMED, json.dumps({"sha256": found, "files": facts}))
    return found


def datasheet(name: str) -> dict[str, Any]:
    """What is known about a set: method, units, licence, checksum, the command that made it.

    Raises:
        UserError: no such set (the message has the nearest names), or not a YAML mapping.
    """
    path = _folder(name) / _SHEET
    try:
        sheet = read_yaml(path)
    except UserError as error:
        raise UserError(f"{error}; {_remedy(name)}") from None
    if not isinstance(sheet, dict):
        raise UserError(f"{path}: is not a mapping of keys to values; {_remedy(name)}")
    return file_version.known(path, sheet)


def checksum(*names: str) -> str:
    """SHA-256 of the frames of a set, as its datasheet has it; what `load` verifies.

    Of several sets, all of them with `+` between.

    Raises:
        UserError: no such set.
    """
    return "+".join(checksums(names).values())


def checksums(names: Iterable[str]) -> dict[str, str]:
    """Name -> SHA-256 of each of these sets; see `checksum`."""
    return {name: str(datasheet(name).get("sha256")) for name in names}


def check_new(name: str, force: bool = False) -> None:
    """Refuse a name that `register` would refuse, before the work of reading the data.

    Raises:
        UserError: characters other than letters, digits, `.`, `_`, `-`, or the name is taken.
        OSError: the data folder cannot be written to.
    """
    taken = name.lower() in _RESERVED or name.endswith(".yaml")
    if not _NAME.fullmatch(name) or taken or _is_value(name):
        raise UserError(
            f"'{name}' cannot name a data set: take a letter or digit, then letters, digits, "
            f"'.', '_' or '-', 64 at most; not {', '.join(_RESERVED)}, and nothing that ends in "
            ".yaml or reads as a number, true, false or null"
        )
    if is_shipped(name):
        raise UserError(f"'{name}' is a set shipped with the program; take another name")
    if not force and (place := data_place(name)).exists():
        raise UserError(f"'{name}' exists in {place.parent}; take another name, or --force")
    check_writable(data_home())


def register(name: str, frames: Frames, datasheet: Mapping[str, Any], force: bool = False) -> Path:
    """Store a set under `name`, so that `load(name)` and `data=NAME` work; returns its folder.

    The set appears by one rename, when all of it is on disk. `name`, `frames`, `atoms` and
    `sha256` are filled into the datasheet.

    Raises:
        UserError: see `check_new`; a shipped name is refused even with `force`.
    """
    check_new(name, force)
    home = data_home()
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / _LOCK):  # of two imports of one new name, one is refused
        _put_back(home, name)
        check_new(name, force)
        with unfinished_folder(home, name) as place:
            try:
                _register(home, name, place, frames, datasheet)
            finally:
                _put_back(home, name)
        return home / name


def _register(
    home: Path, name: str, place: Path, frames: Frames, datasheet: Mapping[str, Any]
) -> None:
    """Make the set in `place`, then let it take that of an earlier one; see `_put_back`."""
    new, option = place / "new", _option_file(home, name)
    if mapped.is_large(frames):
        mapped.write(new / _LARGE, frames.pieces())
        for array in mapped.files(new / _LARGE):
            sync(array)
    else:
        frames.save(new / _FRAMES)
    sheet = {
        **datasheet,
        "name": name,
        "frames": len(frames),
        "atoms": len(frames.numbers),
        "sha256": _sum(new),
    }
    text = yaml.safe_dump(file_version.marked(sheet), sort_keys=False, allow_unicode=True)
    write_text(new / _SHEET, text)
    if (home / name).exists():
        (home / _REPLACED).mkdir(exist_ok=True)
        if option.exists():
            shutil.copyfile(option, home / _REPLACED / option.name)
        (home / name).rename(home / _REPLACED / name)
    # Before the set: an option without its set is an unknown name, a set without its option could
    # not be chosen.
    write_text(option, _option(name, len(divisible(frames))))
    new.rename(home / name)
    sync(home)


def _put_back(home: Path, name: str) -> None:
    """Restore the set that an import was replacing when it failed or was killed; else forget it.

    To be called by who has the lock.
    """
    old, option = home / _REPLACED / name, home / _REPLACED / f"{name}.yaml"
    if old.exists() and not (home / name).exists():
        if option.exists():
            option.replace(_option_file(home, name))
        old.rename(home / name)
    option.unlink(missing_ok=True)
    shutil.rmtree(old, ignore_errors=True)
    with suppress(OSError):  # there was none, or there is another's
        old.parent.rmdir()


def _is_value(name: str) -> bool:
    """Whether `data=NAME` would be a number, a truth value or nothing to Hydra, and no name."""
    try:
        float(name)
    except ValueError:
        return name.lower() in ("null", "true", "false")
    return True


def _option(name: str, n_frames: int) -> str:
    """What `data=NAME` composes to."""
    train, val, test = usual_sizes(n_frames)
    option = {
        "name": name,
        "train_size": train,
        "val_size": val,
        "test_size": test,
        "split": "random",
    }
    return yaml.safe_dump(option, sort_keys=False)


def _option_file(home: Path, name: str) -> Path:
    return home / _CONF / "data" / f"{name}.yaml"


def _folder(name: str) -> Path:
    if name not in names():
        _restore(name)
    if name not in names():
        for conf in of_study(_CONF):
            if (option := conf / "data" / f"{name}.yaml").is_file():
                raise UserError(f"the frames of '{name}' are not here; {option} says where from")
        if name in remotes():
            raise UserError(f"the frames of '{name}' are not here: bench data fetch {name}")
        known = nearest(name, names()) if names() else "there are none yet"
        raise UserError(f"unknown data set '{name}'; {known}")
    if is_shipped(name):
        return resource("datasets") / name
    of_studies = (home / name for home in of_study("datasets") if (home / name / _SHEET).is_file())
    return next(of_studies, data_place(name))


def _restore(name: str) -> None:
    """See `_put_back`; once no import goes on."""
    for home in data_homes() if _NAME.fullmatch(name) else ():
        if (home / _REPLACED / name).exists():
            with suppress(OSError), FileLock(home / _LOCK):  # or not ours to write
                _put_back(home, name)


def _remedy(name: str) -> str:
    if is_shipped(name):
        return "restore it from the repository"
    return f"import it again with: bench data import {name} --force ..."
