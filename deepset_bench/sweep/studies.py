"""Studies: a folder with `study.yaml`, its comparisons and what is said of them.

A command is about the study that it names, else about the one in the current folder, else about
the one that comes with the program first. A sweep file by itself, or axes that are typed, are a
study of one comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from deepset_bench import replicate
from deepset_bench.errors import UserError, nearest
from deepset_bench.files import resource
from deepset_bench.reading import mapping, read_yaml
from deepset_bench.stamps import wrong_rule
from deepset_bench.surroundings import SHEET
from deepset_bench.sweep import comparisons, folders
from deepset_bench.sweep.comparisons import Comparison

_TEXTS = ("title", "question", "source", "authors", "claimed_by")
_LISTS = ("metrics", "common", "tables", "unseen")
_KEYS = (*_TEXTS, "conditions", *_LISTS, "margin", "looks", "answer")
USUAL_MARGIN = 0.05
USUAL_LOOKS = (3, 5, 8, 12, 20)
_T = TypeVar("_T")


@dataclass(frozen=True)
class Study:
    """A question, and the runs that answer it.

    Attributes:
        name: of its folder; of a comparison by itself, its name.
        folder: None for what is typed or a file by itself.
        title: a line.
        question: what its page answers.
        source: what it is about, such as a publication.
        authors: whose it is.
        claimed_by: who says what `claims.yaml` has, as in `the report`; empty: the study itself.
        conditions: options of the group `condition` that its tables have columns for, and what
            figures call them; without any its runs have the usual one, which is not named.
        metrics: names of the metrics that its tables show; without any, the usual ones.
        margin: up to this fraction of the baseline's error a difference is none that matters.
        looks: numbers of seeds at which one looks whether more are needed.
        tables: its comparisons, in the order of its page.
        unseen: those shown by what they make of molecules that they were not trained on.
        answer: the comparison, and perhaps a row of it, that its page's first sentence is about;
            empty for all rows of the first table.
        common: overrides that all its runs share.
        whole: whether all of it is meant, or some comparisons that a person named.
    """

    name: str
    folder: Path | None
    title: str
    question: str = ""
    source: str = ""
    authors: str = ""
    claimed_by: str = ""
    conditions: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    margin: float = USUAL_MARGIN
    looks: tuple[int, ...] = USUAL_LOOKS
    tables: tuple[Comparison, ...] = ()
    unseen: tuple[Comparison, ...] = ()
    answer: tuple[str, ...] = ()
    common: tuple[str, ...] = ()
    whole: bool = True

    def file(self, name: str) -> Path | None:
        """The path of one of its optional files; None where it has none."""
        path = self.folder / name if self.folder else None
        return path if path is not None and path.is_file() else None

    @property
    def shown(self) -> tuple[Comparison, ...]:
        """Those of its page, each once, though its errors may be shown in both ways."""
        return tuple({one.name: one for one in (*self.tables, *self.unseen)}.values())

    @cached_property
    def comparisons(self) -> dict[str, Comparison]:
        """Every comparison by its name, shown or not."""
        shown = {one.name: one for one in self.shown}
        if self.folder is None:
            return shown
        return (
            shown
            | {
                path.stem: _comparison(self.folder, path.stem, self.common)
                for path in folders.sweep_files(self.folder)
                if path.stem not in shown
            }
            | self._trials()
        )

    def _trials(self) -> dict[str, Comparison]:
        """The runs of `tuning.yaml`, which are made where they are asked for by name alone."""
        path = self.file(folders.TUNING)
        return {} if path is None else {path.stem: _comparison(path.parent, path.stem, self.common)}

    def comparison(self, name: str, where: str) -> Comparison:
        """One of its comparisons.

        Args:
            name: of its file, without ending.
            where: what names it, for the message.

        Raises:
            UserError: it has no such comparison.
        """
        if name not in self.comparisons:
            raise UserError(f"{where}: no comparison {name!r}; {nearest(name, self.comparisons)}")
        return self.comparisons[name]


def of_words(words: Sequence[str], axes: Sequence[str] = ()) -> list[Study]:
    """The studies that a person names, each with the comparisons that they name of it.

    Args:
        words: without overrides: studies, comparisons, files, numbers of tables.
        axes: overrides, used where nothing is named and one has several values.

    Raises:
        UserError: there is no such study; a mistake in its files.
    """
    if not words:
        several = [line for line in axes if _is_axis(line)]
        return [alone(comparisons.of_axes(axes))] if several else [at_hand()]
    found: dict[tuple[Path | None, str], Study] = {}
    for word in words:
        study, one = find(word)
        key = (study.folder, study.name)
        if one is None:
            found[key] = study
        elif key not in found or not found[key].whole:
            found[key] = _narrowed(study, one, found.get(key))
    return list(found.values())


def find(word: str) -> tuple[Study, Comparison | None]:
    """The study that a word names, or the comparison in its study.

    Args:
        word: a folder with study.yaml, a sweep file with or without `.yaml`, the name of either
            among the program's own (also as `sweeps/NAME.yaml` from any folder), or the number of
            a table of the study at hand, else of the program's.

    Raises:
        UserError: there is none; the message has the nearest names.
    """
    if folder := folders.of_word(word):
        return read(folder), None
    if path := _file(word):
        return _of_file(path)
    stem = Path(word).name.removesuffix(".yaml")
    if Path(word).parent in (Path(), Path("sweeps")):  # a slip in another path is none of ours
        for folder in dict.fromkeys([folders.at_hand(), folders.usual(), *folders.shipped()]):
            files = {path.stem: path for path in folders.sweep_files(folder)}
            if word.isdecimal():
                numbers = {one.table: one for one in read(folder).comparisons.values()}
                if found := numbers.get(int(word)):
                    return read(folder), found
            elif stem in files:
                return _of_file(files[stem])
    near = f"table_{word}" if word.isdecimal() else stem
    known = nearest(near, {*names(), "claims"})
    raise UserError(f"unknown sweep {word!r} (overrides have an '='); {known}")


def names() -> set[str]:
    """Of the program's studies, and of the comparisons in them and in the study at hand."""
    places = (folders.at_hand(), *folders.shipped())
    own = {path.stem for folder in places for path in folders.sweep_files(folder)}
    return own | {folder.name for folder in folders.shipped()}


def at_hand() -> Study:
    """The study that is meant where none is named: see the module."""
    return read(folders.at_hand())


def here(axes: Sequence[str]) -> Study | None:
    """The study that a person stands in and who types no axes; None where there is none."""
    folder = folders.stood_in()
    return None if folder is None or any(map(_is_axis, axes)) else read(folder)


def alone(comparison: Comparison) -> Study:
    """A study of one comparison."""
    return Study(comparison.name, None, comparison.title, tables=(comparison,))


def read(folder: Path) -> Study:
    """Read and check `study.yaml` and the comparisons that it shows.

    Raises:
        UserError: not YAML, an unknown key, a value of the wrong kind, a file that is not there;
            the message has every mistake.
    """
    path = folder / SHEET
    content = read_yaml(path)
    if not isinstance(content, dict):
        mapping(content, str(path), _KEYS)
    mistakes: list[str] = []

    def tried(make: Callable[..., _T], *arguments: Any, otherwise: _T) -> _T:
        try:
            return make(*arguments)
        except UserError as error:
            mistakes.append(str(error))
            return otherwise

    for key in content:
        tried(mapping, {key: None}, str(path), _KEYS, otherwise=content)
    texts = {key: content.get(key, "") for key in _TEXTS}
    mistakes += [f"{path}: {key} must be text" for key in texts if not isinstance(texts[key], str)]
    texts = {key: str(text).strip() for key, text in texts.items()}
    if not texts["title"]:
        mistakes.append(f"{path}: title is missing")

    def listed(key: str) -> list[str]:
        return tried(_list, content.get(key, []), f"{path}: {key}", otherwise=[])

    lists = {key: listed(key) for key in (*_LISTS, "answer")}
    names = [file.stem for file in folders.sweep_files(folder)]
    for key in ("tables", "unseen"):
        missing = [name for name in lists[key] if name not in names]
        lists[key] = [name for name in lists[key] if name in names]
        mistakes += [
            f"{path}: {key}: there is no {name}.yaml; {nearest(name, names)}" for name in missing
        ]
    others = [name for name in names if name not in lists["unseen"]]
    tables = lists["tables"] if "tables" in content else others

    def shown(chosen: Sequence[str]) -> tuple[Comparison, ...]:
        each = (tried(_comparison, folder, n, lists["common"], otherwise=None) for n in chosen)
        return tuple(one for one in each if one is not None)

    found = Study(
        name=folder.resolve().name,
        folder=folder,
        title=texts["title"],
        question=texts["question"],
        source=texts["source"],
        authors=texts["authors"],
        claimed_by=texts["claimed_by"],
        conditions=tried(
            _named, content.get("conditions", []), f"{path}: conditions", otherwise={}
        ),
        metrics=tuple(lists["metrics"]),
        margin=tried(
            _fraction, content.get("margin", USUAL_MARGIN), f"{path}: margin", otherwise=0.0
        ),
        looks=tried(
            _looks, content.get("looks", list(USUAL_LOOKS)), f"{path}: looks", otherwise=()
        ),
        tables=shown(tables),
        unseen=shown(lists["unseen"]),
        answer=tuple(lists["answer"]),
        common=tuple(lists["common"]),
    )
    if mistakes:
        raise UserError("; ".join(mistakes))
    return found


def _comparison(folder: Path, name: str, common: Sequence[str]) -> Comparison:
    path = folder / f"{name}.yaml"
    ours = folder.parent == resource("sweeps")
    if path.name == folders.TUNING:  # every study may have one
        typed = f"sweeps/{folder.name}/{path.name}" if ours else _beside(path)
        return comparisons.of_trials(path, common, typed)
    return comparisons.read(path, common, f"sweeps/{path.name}" if ours else _beside(path))


def _of_file(path: Path) -> tuple[Study, Comparison | None]:
    if (path.parent / SHEET).is_file():
        study = read(path.parent)
        return study, study.comparison(path.stem, str(path))
    one = comparisons.read(path, file=str(path))
    return alone(one), one


def _narrowed(study: Study, one: Comparison, other: Study | None = None) -> Study:
    """The study with one comparison alone, and with those of `other`."""
    unseen = one.name in {each.name for each in study.unseen}
    changes = not unseen or one.name in {each.name for each in study.tables}
    tables, others = (other.tables, other.unseen) if other else ((), ())
    return replace(
        study,
        tables=(*tables, one) if changes else tables,
        unseen=(*others, one) if unseen else others,
        whole=False,
    )


def _file(word: str) -> Path | None:
    return next((path for path in (Path(word), Path(f"{word}.yaml")) if path.is_file()), None)


def _beside(path: Path) -> str:
    """A path as it is typed from here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _is_axis(line: str) -> bool:
    key = line.lstrip("+").partition("=")[0]
    return key not in replicate.KEYS and len(comparisons.of_axes([line]).runs) > 1


def _list(content: Any, where: str) -> list[str]:
    if not isinstance(content, list) or not all(isinstance(one, str) for one in content):
        raise UserError(f"{where} must be a list of texts")
    return list(content)


def _named(content: Any, where: str) -> dict[str, str]:
    """Names with what they are called: a list calls them as they are."""
    pairs = content if isinstance(content, dict) else {name: name for name in _list(content, where)}
    if not all(isinstance(text, str) for pair in pairs.items() for text in pair):
        raise UserError(f"{where} must hold only texts")
    return dict(pairs)


def _looks(content: Any, where: str) -> tuple[int, ...]:
    if problem := wrong_rule({"looks": content}):
        raise UserError(f"{where}: {problem}; list seeds, as in [3, 5, 8, 12, 20]")
    return tuple(content)


def _fraction(content: Any, where: str) -> float:
    text = str(content).strip()
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if isinstance(content, bool) or not 0 <= value < 1:
        raise UserError(f"{where}: {content!r} is not a percentage, e.g. 5 %")
    return value
