"""The quick composition is Hydra's, for every option there is and any choice of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench import composing, config
from deepset_bench.errors import UserError
from deepset_bench.files import data_home
from deepset_bench.groups import groups, option_folders

# But for the executor, which is a sweep's and no run's.
OPTIONS = {group: options for group, options in groups().items() if group != "executor"}
EVERY = [f"{group}={option}" for group, options in OPTIONS.items() for option in options]


def lines(choices: dict[str, str]) -> tuple[str, ...]:
    return tuple(f"{group}={option}" for group, option in choices.items())


def merged(asked: tuple[str, ...]) -> composing.Composed:
    return composing._merged(asked, tuple(option_folders()))


def test_the_default() -> None:
    assert merged(()) == composing._by_hydra(())


@pytest.mark.parametrize("line", EVERY)
def test_every_option_by_itself(line: str) -> None:
    assert merged((line,)) == composing._by_hydra((line,))


@settings(max_examples=15, deadline=None)
@given(st.fixed_dictionaries({}, optional={g: st.sampled_from(o) for g, o in OPTIONS.items()}))
def test_any_choice_of_options(choices: dict[str, str]) -> None:
    asked = lines(choices)
    assert merged(asked) == composing._by_hydra(asked)


@pytest.mark.parametrize(
    "keys",
    [
        ("++width=16", "++trainer.epochs=3", "++trainer.learning_rate=1e-3"),
        ("++trainer.schedule.minimum=0", "++init=null", "++readout=invariant", "++readout='a b'"),
        ("++gating.options.size=3", "++gating.options.deep=true"),
        ("++reference.energies_ev.6=-3", "++width=2"),
        ("++runs_dir='${oc.env:HOME}'", "++runs_dir='a\\\\b'"),
        ("++rbf.transforms=[a,b]", "++task.train={a:1}"),
    ],
)
def test_single_keys_are_set_as_hydra_sets_them(keys: tuple[str, ...], monkeypatch) -> None:
    values = merged(())[0]
    before = composing.copied(values)
    quick = config._with_keys(values, keys)
    assert values == before
    monkeypatch.setattr(config, "_is_plain", lambda *_: False)
    by_hydra = config._with_keys(values, keys)
    assert quick == by_hydra
    assert repr(quick) == repr(by_hydra)  # 1 is not 1.0


@pytest.mark.parametrize(
    "text",
    [
        "width: ${cutoff}\n",
        "# @package trainer\nepochs: 3\n",
        "# @package _global_\ndefaults:\n  - override /condition: report\n\nwidth: 32\n",
        "# @package _global_\ndefaults:\n  - /trainer: report\n",
        "kind: ???\n",
    ],
)
def test_what_is_not_plain_is_left_to_hydra(text: str, own_folders: Path) -> None:
    file = data_home() / "conf" / "gnn" / "own.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(composing._NotPlain):
        merged(("gnn=own",))


def test_an_option_of_the_users_own(own_folders: Path) -> None:
    file = data_home() / "conf" / "trainer" / "own.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("# mine\nepochs: 3\nschedule: {kind: cosine, minimum: 1.0e-3}\n")
    asked = ("trainer=own", "condition=report")
    assert merged(asked) == composing._by_hydra(asked)
    assert merged(asked)[0]["trainer"]["epochs"] == 3


def test_what_is_not_there_is_one_line(own_folders: Path) -> None:
    with pytest.raises(UserError, match="cannot compose gnn=gin"):
        composing.composed(("gnn=gin",))
