"""Overrides: the same experiment however it is asked for, and one line for every mistake."""

from __future__ import annotations

import dataclasses

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.config import Experiment, experiment
from deepset_bench.config_file import determinants, load_config, resolved
from deepset_bench.errors import UserError
from deepset_bench.groups import groups
from deepset_bench.overrides import last_of_each
from deepset_bench.runs import run_folder
from deepset_bench.schema import Config
from deepset_bench.validation import choices

# But for the executor, which is a sweep's and no run's.
GROUPS = {group: options for group, options in groups().items() if group != "executor"}
SCALARS = {
    "none": [],
    "all": ["x2", "x3", "x4", "sqrt", "log"],
    "sq": ["x2"],
    "sq_cub": ["x2", "x3"],
    "sq_cub_tes": ["x2", "x3", "x4"],
    "sq_cub_tes_sqrt": ["x2", "x3", "x4", "sqrt"],
    "cub_tes_sqrt": ["x3", "x4", "sqrt"],
    "cub_sqrt": ["x3", "sqrt"],
}


def same(a: Experiment, b: Experiment) -> bool:
    identical = a.identity("data") == b.identity("data")
    return identical and (a.config, a.variant, a.choices) == (b.config, b.variant, b.choices)


def mistake(*overrides: str) -> str:
    """The one line that these overrides give."""
    with pytest.raises(UserError) as caught:
        experiment(overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("group", "option"), [(g, o) for g, options in GROUPS.items() for o in options]
)
def test_every_option_composes_with_and_without_a_plus(group, option):
    others = ["gnn=sage"] if group == "aggregation" else []  # which alone reads it
    plain = experiment([*others, f"{group}={option}"])
    assert plain.choices[group] == option
    assert same(plain, experiment([*others, f"+{group}={option}"]))
    assert same(plain, experiment([*others, f"++{group}={option}"]))
    assert same(plain, experiment([*others, f'{group}="{option}"']))


@pytest.mark.parametrize(("option", "names"), SCALARS.items())
def test_a_list_in_place_equals_the_named_option(option, names):
    named = experiment([f"scalars={option}"])
    assert named.config.scalars == names
    in_place = f"scalars=[{','.join(names)}]"
    for line in (in_place, f"+{in_place}", in_place.replace("=", "= ")):
        assert same(named, experiment([line]))


def test_a_list_of_its_own_is_named_by_its_members():
    assert experiment(["scalars=[sqrt,x4]"]).variant == "sqrt_x4"
    assert experiment(["scalars=[sqrt,x4]"]).config.scalars == ["sqrt", "x4"]


def test_the_last_of_several_overrides_counts():
    sq = experiment(["scalars=sq"])
    assert same(sq, experiment(["scalars=cub_sqrt", "scalars=sq"]))
    assert same(sq, experiment(["scalars=[x3]", "scalars=sq"]))
    assert same(sq, experiment(["scalars=cub_sqrt", "scalars=[x2]"]))
    lines = ["seed=1", "scalars=sq", "+seed=2"]
    assert experiment(lines).config.seed == 2
    assert last_of_each(lines) == ["+seed=2", "scalars=sq"]


def test_one_value_has_one_name():
    base = experiment([])
    assert base.variant == "baseline"
    assert same(base, experiment(["cutoff=5", "trainer.epochs='150'", "scalars=[]"]))
    for lines in (
        ["trainer.learning_rate=1", "trainer.learning_rate=1.0", "trainer.learning_rate=1e0"],
        ["trainer.epochs=20", "trainer.epochs='20'", "+trainer.epochs=20"],
    ):
        first, *others = (experiment([line]) for line in lines)
        assert all(same(first, other) for other in others)


# Without groups that say where a run is computed or on which data.
VARIED = [g for g in GROUPS if g not in ("data", "device", "logger", "condition")]
asked_for = st.fixed_dictionaries(
    {},
    optional={
        **{group: st.sampled_from(GROUPS[group]) for group in VARIED},
        "condition": st.sampled_from(["corrected", "report"]),
        "cutoff": st.sampled_from(["4.0", "5.0"]),
        "gating.experts": st.sampled_from(["5", "10"]),
        "trainer.energy_weight": st.sampled_from(["0.2", "0.1"]),
        "envelope": st.sampled_from(["message", "none"]),
    },
)
seen: dict[tuple, str] = {}


def compose(chosen: dict[str, str]) -> Experiment:
    if chosen.get("gating") == "single" and "gating.experts" in chosen:
        del chosen["gating.experts"]
    if chosen.get("model", "deepset") != "deepset":
        # What it does not read is refused.
        parts = "scalars", "rbf", "gnn", "aggregation", "gating", "envelope", "readout", "form"
        chosen = {k: v for k, v in chosen.items() if k.split(".")[0] not in parts}
    if chosen.get("gnn", "none") in ("none", "gat"):
        chosen.pop("aggregation", None)
    if chosen.get("gating") == "top_k" and chosen.get("gating.experts") == "5":
        del chosen["gating.experts"]
    return experiment([f"{key}={value}" for key, value in chosen.items()])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(first=asked_for, second=asked_for)
def test_different_experiments_have_different_folders_and_equal_ones_the_same(first, second):
    for chosen in (first, second):
        made = compose(chosen)
        place, identity = run_folder(made).path, made.identity("")
        assert seen.setdefault(("folder", place), identity) == identity
        assert seen.setdefault(("identity", identity), str(place)) == str(place)
        assert not set("/ '\"[]{}\\") & set(made.variant)


@settings(max_examples=30, deadline=None)
@given(
    line=st.sampled_from(
        ["device=cpu", "logger=tensorboard", "threads=3", "runs_dir=/elsewhere", "form=reference"]
    ),
    other=st.sampled_from(["scalars=sq", "seed=3"]),
)
def test_where_and_how_a_run_is_computed_is_no_part_of_it(line, other):
    a, b = experiment([other]), experiment([other, line])
    assert a.config != b.config
    assert a.identity("data") == b.identity("data")
    assert a.variant == b.variant


@pytest.mark.parametrize(
    "line", ["seed=1", "cutoff=4", "trainer.epochs=2", "data.train_size=9", "condition=report"]
)
def test_what_determines_the_numbers_is_part_of_a_run(line):
    base = experiment([])
    assert experiment([line]).identity("data") != base.identity("data")
    assert base.identity("data") != base.identity("other data")


def test_a_long_name_fits_the_file_system():
    numbers = ("cutoff", "trainer.learning_rate", "trainer.weight_decay", "trainer.energy_weight")
    keys = [*numbers, "trainer.forces_weight", "trainer.gradient_clip", "trainer.schedule.minimum"]
    lines = [f"{key}=0.{'1' * 16}" for key in keys]
    made = [experiment([*lines, f"width={4 * n}"]) for n in (1, 2)]
    for length, names in (
        (255, {one.variant for one in made}),
        (80, {run_folder(one).path.parent.name for one in made}),
    ):
        assert len(names) == 2
        assert all(len(name.encode()) == length for name in names)
        assert all(name.startswith("cutoff-0.1111") for name in names)


def test_a_name_that_is_short_enough_is_the_folders_name():
    line, length = "task.train.molecules=['{}']", len("task.train.molecules-")
    for n, whole in ((80 - length, True), (81 - length, False)):
        one = experiment([line.format("C" * n), "task.ood.molecules=[]"])
        assert (run_folder(one).path.parent.name == one.variant) == whole


def test_the_seed_has_its_own_folder_and_not_its_own_variant():
    a, b = experiment(["seed=0"]), experiment(["seed=1"])
    assert a.variant == b.variant
    assert run_folder(a).path.parent == run_folder(b).path.parent
    assert run_folder(a).path != run_folder(b).path


@pytest.mark.parametrize("group", GROUPS)
def test_an_unknown_option_names_the_group_and_the_nearest(group):
    option = GROUPS[group][0]
    message = mistake(f"{group}={option}x")
    assert message.startswith(f"unknown option {group}={option}x; ")
    assert option in message


def leaves(content: dict, prefix: str = "") -> list[str]:
    found = []
    for key, value in content.items():
        if isinstance(value, dict) and value:
            found += leaves(value, f"{prefix}{key}.")
        elif value != {}:
            found.append(prefix + key)
    return found


KEYS = leaves(dataclasses.asdict(experiment([]).config))


@pytest.mark.parametrize("key", KEYS)
def test_an_unknown_key_gets_the_nearest(key):
    message = mistake(f"{key}s=1")
    assert message.startswith(f"unknown group or key '{key}s'; did you mean ")
    assert key in message


def test_keys_that_are_nowhere_near():
    message = mistake("zzzzzzzzzzzz=1")
    assert "valid: " in message
    assert "trainer.epochs" in message


@pytest.mark.parametrize("key", [key for key in choices() if key not in GROUPS])
def test_a_value_that_is_no_choice_lists_the_choices(key):
    message = mistake(f"{key}=nonsense")
    assert key in message
    shown = [str(choice).lower() for choice in choices()[key] if isinstance(choice, bool)]
    shown += [choice for choice in choices()[key] if isinstance(choice, str)]
    assert all(choice in message for choice in shown)


NUMBERS = [
    *(f"data.{part}_size" for part in ("train", "val", "test")),
    *("rbf.size", "gating.experts", "trainer.epochs", "trainer.batch_size", "width", "seed"),
    *("trainer.learning_rate", "trainer.weight_decay", "trainer.energy_weight", "cutoff"),
    *("trainer.schedule.minimum", "trainer.schedule.warmup_steps", "threads", "gating.top_k"),
    "trainer.gradient_clip",
]


@settings(max_examples=25, deadline=None)
@given(key=st.sampled_from(NUMBERS), value=st.sampled_from(["abc", "'1 2'", "[1]", "{a:1}", "-1"]))
def test_a_wrong_type_or_range_names_the_key(key, value):
    assert key in mistake(f"{key}={value}")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["cutoff=inf"], "cutoff=inf"),
        (["cutoff=nan"], "cutoff=nan"),
        (["trainer.learning_rate=1e999"], "trainer.learning_rate=inf"),
        (["seed=99999999999999999999"], "seed="),
        (["seed=1.5"], "seed"),
        (["width=9223372036854775808"], "width=9223372036854775808 must be at most 10000"),
        (["cutoff=1e308"], "cutoff=1e+308 must be at most 1000"),
        (["stack=1000000000"], "stack=1000000000 must be at most 10000"),
        (["model=schnet", "model.layers=10000000"], "model.layers=10000000 must be at most 100"),
        (["trainer.gradient_clip=inf"], "trainer.gradient_clip=inf must be at most 1e+30"),
        (["trainer.gradient_clip=nan"], "trainer.gradient_clip=nan must be"),
        (["trainer=report", "trainer.schedule.factor=-1"], "trainer.schedule.factor=-1.0"),
        (["trainer=report", "trainer.schedule.factor=nan"], "trainer.schedule.factor=nan"),
        (["trainer=report", "trainer.schedule.patience=-1"], "trainer.schedule.patience=-1"),
        (["trainer.epochs=null"], "trainer.epochs"),
        (["trainer.epochs=0"], "trainer.epochs=0"),
        (["width=10"], "width=10 must be divisible by 4"),
        (["rbf.size=1"], "rbf.size=1"),
        (["gating.top_k=11"], "gating.top_k=11 exceeds gating.experts=10"),
        (["model=visnet", "model.width=60"], "model.width=60 must be divisible by 8"),
        (["model=schnet", "model.basis_size=1"], "model.basis_size=1"),
        (["model=schnet", "model.layers=0"], "model.layers=0 must be greater than zero"),
        (["model.layers=3"], "model.layers=3 with model.kind=deepset"),
        (["model.kind=schnet"], "model.width=None with model.kind=schnet"),
        (["gnn.layers=1"], "gnn.layers=1 with gnn.kind=none"),
        (["gnn=sage", "gnn.layers=0"], "gnn.layers=0 with gnn.kind=sage"),
        (["trainer.schedule.kind=plateau"], "trainer.schedule.factor"),
        (["scalars=[x3,x5]"], "unknown x5"),
        (["scalars=[x3,x3]"], "repeated"),
        (["rbf.transforms=[ln]"], "unknown ln"),
        (["rbf=[x2]"], "rbf takes one option"),
        (["gnn=[sage,gat]"], "gnn takes one option"),
        (["reference.energies_ev.C=1"], "reference.energies_ev.C"),
        (["reference.energies_ev.6=nan"], "reference.energies_ev.6"),
        (["scalars=sq,cub_sqrt"], "bench sweep"),
        (["seed=range(1,3)"], "bench sweep"),
        (["~scalars"], "nothing can be deleted"),
        (["seed"], "cannot read override 'seed'"),
        (["scalars=[x3"], "cannot read override 'scalars=[x3'"),
        (["seed=${nowhere}"], "nowhere"),
        (["data=nowhere"], "unknown option data=nowhere"),
    ],
)
def test_mistakes_are_one_line(lines, expected):
    assert expected in mistake(*lines)


@pytest.mark.parametrize("model", ["deepset_x", "schnet", "visnet"])
@pytest.mark.parametrize("condition", ["report", "corrected"])
@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("scalars=sq", "scalars"),
        ("scalars=[x4]", "scalars"),
        ("rbf=x2_x3", "rbf.transforms"),
        ("rbf.size=8", "rbf.size"),
        ("gnn=gat", "gnn.kind"),
        ("aggregation=max", "aggregation"),
        ("gating=single", "gating.experts"),
        ("gating.top_k=2", "gating.top_k"),
        ("form=reference", "form"),
        ("width=64", "width"),
    ],
)
def test_what_another_network_does_not_read_is_a_mistake(model, condition, line, key):
    message = mistake(f"condition={condition}", f"model={model}", line)
    assert message.startswith(f"{key}=")
    assert f"is not read by model={model}; " in message


@pytest.mark.parametrize("condition", ["report", "corrected"])
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["aggregation=max"], "aggregation=max is not read by gnn=none; gnn=edge and gnn=sage"),
        (["gnn=gat", "aggregation=sum"], "aggregation=sum is not read by gnn=gat; gnn=edge and"),
        (["logger.project=mine"], "logger.project=mine is not read by logger.wandb=null; logger="),
        (
            ["logger=tensorboard", "logger.project=mine"],
            "logger.project=mine is not read by logger.wandb=null; logger=wandb and logger=mlflow",
        ),
        (
            ["reference=composition", "reference.energies_ev.6=-3"],
            "reference.energies_ev.6=-3.0 is not read by reference=composition; reference=isol",
        ),
        (
            ["reference=molecule_mean", "reference.energies_ev.1=-3"],
            "reference.energies_ev.1=-3.0 is not read by reference=molecule_mean; ",
        ),
        (["task.ood_size=9"], "task.ood_size=9 is not read by a run without a task; a task"),
        (["gating=top_k", "gating.experts=5"], "gating.top_k=5 keeps all of gating.experts=5; "),
        (["gating=single", "gating.top_k=1"], "gating.top_k=1 keeps all of gating.experts=1; "),
    ],
)
def test_a_key_that_nothing_reads_is_a_mistake(lines, expected, condition):
    """Its run would be one that is there already, under another name."""
    assert mistake(f"condition={condition}", *lines).startswith(expected)


@pytest.mark.parametrize(
    "lines",
    [
        ["gnn=sage", "aggregation=max"],
        ["gnn=edge", "aggregation=sum"],
        ["aggregation=mean"],  # as it is anyway
        ["logger=wandb", "logger.project=mine"],
        ["logger=mlflow", "logger.project=mine"],
        ["logger.wandb=offline", "logger.project=mine"],
        ["reference=isolated_atoms", "reference.energies_ev.7=-3"],
        ["task=larger", "data=alkenes", "task.ood_size=9"],
        ["task.data=pent-2-ene", "task.ood_size=9"],
        ["gating.top_k=9"],
    ],
)
def test_a_key_that_something_reads_is_none(lines):
    experiment(lines)


def test_the_envelope_of_a_condition_is_no_mistake_of_a_published_network():
    assert experiment(["model=schnet", "condition=report"]).variant == "schnet"
    assert "envelope=none" in mistake("model=schnet", "envelope=none")
    assert "envelope=message" in mistake("model=schnet", "condition=report", "envelope=message")


def test_a_budget_replaces_the_width_of_a_published_network():
    made = experiment(["model=schnet", "width=64", "width_budget=parameters"])
    assert made.variant == "schnet+width-64+width_budget-parameters"
    message = mistake("model=schnet", "model.width=64", "width_budget=parameters")
    assert "model.width=64 is not read by model=schnet under width_budget=parameters" in message


def test_younger_keys_leave_earlier_runs_what_they_were(tmp_path):
    """Their config.yaml and identity have neither `model` nor `width_budget`."""
    config = experiment(["scalars=sq"]).config
    assert not {"model", "width_budget"} & resolved(config).keys()
    assert not {"model", "width_budget"} & determinants(config).keys()
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(resolved(config)))
    assert load_config(path) == config
    for line in ("model=schnet", "width_budget=parameters"):
        other = experiment([line]).config
        path.write_text(yaml.safe_dump(resolved(other)))
        assert load_config(path) == other
        assert line.split("=")[0] in determinants(other)


def test_every_key_is_in_the_default_composition():
    """A key of the schema that no YAML sets could not be overridden."""
    names = {f.name for f in dataclasses.fields(Config)} - {"sources"}  # which nobody sets
    assert names == {key.split(".")[0] for key in KEYS}
