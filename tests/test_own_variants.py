"""Variants of a person's own, from a file: found, trained, examined, and never mistaken."""

from __future__ import annotations

import inspect
import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepset_bench import composing, config, definition, registry, syntax
from deepset_bench.config import experiment
from deepset_bench.config_file import load_config
from deepset_bench.data import catalogue
from deepset_bench.definition import KINDS
from deepset_bench.errors import UserError
from deepset_bench.model.build import build_model
from deepset_bench.model.potential import Potential
from deepset_bench.runs import RunFolder, run_folder
from deepset_bench.schema import GNN, RBF, Gating, Model
from deepset_bench.testing import PotentialTests, evaluate, random_molecule
from tests.test_cli import inside
from tests.training.tiny import OVERRIDES, asked, assert_same_run

MY_NET = ("width=128", "rbf.size=32", "gating.experts=10", "model=my_net")
OWN = Path(__file__).with_name("own_variants.py")


def forget() -> None:
    """What this process knows of files that a test changes."""
    known = (definition, registry, syntax, config, composing)
    for function in [one for module in known for one in vars(module).values()]:
        getattr(function, "cache_clear", lambda: None)()


@pytest.fixture(autouse=True)
def nothing_known():
    forget()
    yield
    forget()


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    """A file of variants that a test may change, named for this process."""
    path = tmp_path / "variants.py"
    shutil.copy(OWN, path)
    monkeypatch.setenv(registry.ENVIRONMENT, str(path))
    return path


class Own(PotentialTests):
    variants = OWN


class TestScalar(Own):
    overrides = ("width=16", "scalars=inverse")


class TestBasis(Own):
    overrides = ("width=16", "rbf=bessel", "rbf.size=8")


class TestBasisWithParameters(Own):
    overrides = ("width=16", "rbf=learned", "rbf.size=8", "rbf.narrow=2")


class TestLayer(Own):
    overrides = ("width=16", "gnn=neighbours")
    jumps = True  # it sees which atoms are neighbours, and no distances


class TestGate(Own):
    overrides = ("width=16", "gating=even")


class TestReadout(Own):
    overrides = ("width=16", "readout=norm")


class TestNetwork(Own):
    overrides = ("model=my_net",)


def form(*overrides: str) -> str:
    wanted = experiment(asked(*overrides)).config
    return Potential(build_model(wanted), torch.tensor([1, 6]), 1.0).form


@pytest.mark.usefixtures("tiny")
def test_what_the_fused_form_cannot_express_is_computed_in_the_reference_form(own):
    assert {form("scalars=inverse"), form("rbf=bessel"), form("gnn=neighbours")} == {"fused"}
    assert {form("rbf=learned"), form("gating=even"), form(*MY_NET)} == {"reference"}


@pytest.mark.usefixtures("tiny")
def test_both_forms_are_one_function(own):
    """A basis and a layer of a person's own are in the tables of the fused form."""
    torch.manual_seed(0)
    wanted = experiment([*OVERRIDES, "rbf=bessel", "scalars=inverse", "gnn=neighbours"]).config
    model = build_model(wanted).double()
    found = []
    for name in ("fused", "reference"):
        potential = Potential(model, torch.tensor([1, 6]), 1.0, form=name).eval()
        torch.set_default_dtype(torch.float64)
        try:
            found.append(evaluate(potential, wanted, random_molecule((6, 1), 6, 0)))
        finally:
            torch.set_default_dtype(torch.float32)
    (energy, forces), (energy_0, forces_0) = found
    assert energy == pytest.approx(energy_0, rel=1e-5)
    assert forces == pytest.approx(forces_0, abs=1e-5)


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (("scalars=inverse",), "inverse"),
        (("scalars=[x3,inverse]",), "x3_inverse"),
        (("rbf=bessel",), "rbf-bessel"),
        (("gnn=neighbours", "gnn.hidden=4"), "neighbours+gnn.hidden-4"),
        (("model=my_net", "model.my_option=3"), "my_net+model.my_option-3"),
        (("gating=even",), "gating-even"),
        (("readout=norm",), "readout-norm"),
    ],
)
def test_they_have_their_names(own, overrides, name):
    found = experiment(overrides)
    assert found.variant == name
    assert len(found.config.sources) == 1
    assert experiment(()).config.sources == {}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ("model=my_net model.my_optoin=3", "did you mean model.my_option"),
        ("model=my_net model.my_option=much", "model.my_option=much must be int"),
        ("model=my_net model.my_option=2.5", "model.my_option=2.5 must be int"),
        ("model=my_net model.basis_size=8", "this size is for other networks (deepset_x, "),
        ("gating=even gating.top_k=2", "gating.top_k=2 is not read by gating=even; leave it out"),
        ("model=my_net scalars=inverse", "scalars=['inverse'] is not read by model=my_net"),
        ("gnn.hidden=4", "gnn.hidden=4: graph layer none has no such option"),
        ("gnn=sage gnn.hidden=4", "gnn.hidden=4: graph layer sage has no such option"),
        ("gnn=neighbors", "did you mean neighbours"),
        ("scalars=[inverse,invers]", "has unknown invers"),
        ("sources=1", "unknown group or key 'sources'"),
    ],
)
def test_mistakes_are_one_line(own, overrides, said):
    with pytest.raises(UserError) as caught:
        experiment(overrides.split())
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_configuration_is_shown_as_it_is_typed(own, monkeypatch, capsys):
    status, out, err = inside(monkeypatch, capsys, "config", "gnn=neighbours", "gnn.hidden=4")
    assert (status, err) == (0, "")
    assert "gnn:\n  kind: neighbours\n  layers: 1\n  hidden: 4\n" in out
    assert "rbf:\n  kind: gaussian\n  size: 32\n  transforms: []\ngnn:" in out
    assert "sources" not in out
    (networks,) = (line for line in out.splitlines() if line.startswith("# model: "))
    assert {"[deepset]", "deepset_x", "my_net", "schnet"} <= set(networks[9:].split(", "))


def test_a_changed_line_is_another_run(own, tmp_path):
    def identity(*overrides: str) -> str:
        forget()
        return experiment(overrides).identity("")

    layer, ours = identity("gnn=neighbours"), identity("gnn=sage")
    assert identity("gnn=neighbours") == layer
    own.write_text(own.read_text().replace("torch.tanh", "torch.sin"))
    changed = identity("gnn=neighbours")
    assert changed != layer
    assert identity("gnn=sage") == ours
    # What lies beside the file and is imported by it counts, what is not imported does not.
    (tmp_path / "beside.py").write_text("K = 1\n")
    assert identity("gnn=neighbours") == changed
    own.write_text(f"import beside\n{own.read_text()}")
    before = identity("gnn=neighbours")
    (tmp_path / "beside.py").write_text("K = 2\n")
    assert identity("gnn=neighbours") != before


@pytest.mark.usefixtures("tiny")
def test_from_training_to_a_check(tmp_path, monkeypatch, capsys):
    own = tmp_path / "my variants.py"
    shutil.copy(OWN, own)
    file = f"--variants={own}"
    monkeypatch.delenv(registry.ENVIRONMENT, raising=False)
    monkeypatch.setattr("os.environ", {**__import__("os").environ})
    words = asked("gnn=neighbours", "rbf=learned", "trainer.epochs=2")
    status, out, err = inside(monkeypatch, capsys, "train", *words, file)
    assert (status, err) == (0, "")
    assert "reference form" in out
    assert "its radial basis has parameters" in out
    folder = run_folder(experiment(words))
    assert (folder.variants / own.name).read_text() == own.read_text()
    assert inside(monkeypatch, capsys, "check", str(folder.path), file)[0] in (0, 1)

    own.write_text(own.read_text().replace("torch.tanh", "torch.sin"))
    forget()
    status, _, err = inside(monkeypatch, capsys, "train", *words, file)
    assert status == 2
    assert "has changed since; --fresh trains again" in err
    status, _, err = inside(monkeypatch, capsys, "evaluate", str(folder.path), file)
    assert status == 2
    assert "has changed since this run; the one that it was trained with is in" in err

    forget()
    monkeypatch.delenv(registry.ENVIRONMENT)
    status, _, err = inside(monkeypatch, capsys, "evaluate", str(folder.path))
    assert status == 2
    assert "which is not the product's own; name its file with --variants (a copy is in" in err
    with pytest.raises(UserError, match="--variants"):
        load_config(folder.config)


@pytest.mark.usefixtures("tiny")
def test_going_on_is_not_having_stopped(own, monkeypatch, capsys, tmp_path):
    folders = []
    for runs, lengths in (("whole", (4,)), ("stopped", (2, 4))):
        monkeypatch.setenv("BENCH_RUNS", str(tmp_path / runs))
        for epochs in lengths:
            words = asked(*MY_NET)
            with monkeypatch.context() as patch:
                if epochs == 2:
                    stop_after(patch, 2)
                inside(patch, capsys, "train", *words)
        folders.append(run_folder(experiment(words)))
    assert_same_run(*folders)


def stop_after(patch: pytest.MonkeyPatch, epochs: int) -> None:
    """As Ctrl-C in an epoch would."""
    write, seen = RunFolder.sync_metrics, []

    def sync(folder: RunFolder) -> None:
        write(folder)
        seen.append(folder)
        if len(seen) > epochs:
            raise KeyboardInterrupt

    patch.setattr(RunFolder, "sync_metrics", sync)


def numbers_file(path: Path) -> Path:
    rows = [(d, (d - 0.75) ** 2 * 15 - 31, -30 * (d - 0.75)) for d in (0.7, 0.72, 0.75, 0.8, 0.81)]
    path.write_text("numbers\n" + "".join(" ".join(map(str, row)) + "\n" for row in rows))
    return path


def test_a_reader(own, tmp_path, monkeypatch, capsys):
    path = numbers_file(tmp_path / "scan.dat")
    status, out, err = inside(monkeypatch, capsys, "data", "import", "h2", str(path))
    assert (status, err) == (0, "")
    assert "5 frames" in out
    frames = catalogue.load("h2")
    assert frames.forces[:2] == pytest.approx(np.array([[0, 0, -1.5], [0, 0, 1.5]]))
    path.write_text("numbers\n0.7 x 1\n")
    status, _, err = inside(monkeypatch, capsys, "data", "import", "h3", str(path))
    assert status == 2
    assert "reader lines of numbers fails: ValueError: could not convert string to float" in err
    monkeypatch.delenv(registry.ENVIRONMENT)
    forget()
    status, _, err = inside(monkeypatch, capsys, "data", "import", "h3", str(path))
    assert status == 2
    assert "is not in a format that is read" in err


BROKEN = {
    "def f(:": "line 1: invalid syntax",
    "@scalar('x3')\ndef f(d):\n    return d": "scalar feature x3 is the product's own",
    "@scalar('a b')\ndef f(d):\n    return d": "line 2: @scalar('a b'): a name is made of letters",
    "@scalar(NAME)\ndef f(d):\n    return d": "line 2: @scalar takes one name in quotes",
    "@scalar('f')\ndef f(d, e):\n    return d": "line 2: a scalar feature is a function of 1",
    "@graph_layer('f')\ndef f(width, x):\n    pass": "line 2: parameter x of f: nothing gives it",
    "@graph_layer('f')\ndef f(width, x=[]):\n    pass": "line 2: parameter x of f needs a type",
    "@graph_layer('f')\ndef f(width, x=Y):\n    pass": "line 2: the default of x must be a plain",
    "@graph_layer('f')\ndef f(*width):\n    pass": "line 2: f takes any arguments",
    "@graph_layer('f', divisable_by=2)\ndef f(width):\n    pass": "did you mean divisible_by",
    "@readout('f')\ndef f(width, x: int = 1):\n    pass": "line 2: parameter x of f: is not given",
    "@graph_layer('f')\ndef f(width, layers: int = 1):\n    pass": "gnn.layers is a key with",
    "@graph_layer('f')\ndef f(width, x: 'int |' = 1, y=None):\n    pass": "parameter y of f needs",
    "@graph_layer('f', divisible_by=0)\ndef f(width):\n    pass": "line 2: divisible_by=0 of",
    "@model('f', forms='fused')\ndef f(cutoff):\n    pass": "must be texts, as ('a', 'b')",
    "@model('f', forms=('fast',))\ndef f(cutoff):\n    pass": "are of 'fused' and 'reference'",
    "@model('f', width_key='w')\ndef f(cutoff):\n    pass": "width_key='w' must be 'width' or",
    "@model('f', masks_edges=1)\ndef f(cutoff):\n    pass": "masks_edges=1 of @model must be bool",
}


@pytest.mark.parametrize(("text", "said"), BROKEN.items())
def test_a_file_that_holds_no_variant_is_one_line(own, text, said):
    own.write_text(text)
    with pytest.raises(UserError) as caught:
        experiment(())
    assert said in str(caught.value)
    assert str(own) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("1 / 0", "line 5: graph layer f cannot be made: ZeroDivisionError: division by zero"),
        ("return 3", "graph layer f makes int, not a module of torch"),
        ("import nowhere", "line 5: graph layer f cannot be made: ModuleNotFoundError"),
    ],
)
def test_a_variant_that_cannot_be_made_is_one_line(own, body, said):
    text = "from deepset_bench.variants import graph_layer\n\n@graph_layer('f')\ndef f(width):\n"
    own.write_text(f"{text}    {body}\n")
    with pytest.raises(UserError) as caught:
        build_model(experiment(["gnn=f"]).config)
    assert said in str(caught.value)
    own.write_text(f"import nowhere\n{text}    pass\n")
    forget()
    with pytest.raises(UserError, match="line 1: ModuleNotFoundError"):
        build_model(experiment(["gnn=f"]).config)


HEAD = "import sys\nimport torch\nfrom torch import nn\nfrom deepset_bench.variants import *\n"
LAYER = """
@graph_layer("f")
class F(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x, edge_index):
        return %s
"""
MADE = "super().__init__()\n        self.linear = nn.Linear(width, width)"
NETWORK = """
@model("f")
class F(nn.Module):
    def __init__(self, width: int = 4):
        super().__init__()
        self.own = nn.Embedding(100, 1)

    def forward(self, numbers, vectors, edge_index):
        e = self.own(numbers)[:, 0].index_add(0, edge_index[1], (-vectors.norm(dim=-1)).exp())
        return %s
"""
BASIS = """
@radial_basis("f")
class F(nn.Module):
    def __init__(self, size: int):
        super().__init__()

    def forward(self, d):
        return %s
"""
GATE = BASIS.replace("radial_basis", "gate").replace("size", "experts")
READOUT = BASIS.replace("radial_basis", "readout").replace("size", "width").replace("d)", "X, V)")
FAILING = [
    ("gnn=f", LAYER % "1 / 0", "line 13: ZeroDivisionError: division by zero"),
    ("gnn=f", LAYER % "x[:, :2]", "2); it must be ("),
    ("gnn=f", LAYER % "None", "F returns NoneType, not a tensor"),
    ("gnn=f", LAYER % "x.double()", "F returns torch.float64 where torch.float32 is"),
    ("gnn=f", LAYER.replace("forward", "call") % "x", "graph layer f: F has no method forward"),
    (
        "gnn=f",
        LAYER.replace("Linear(width, ", "LazyLinear(") % "x",
        "size of linear.weight must",
    ),
    (
        "gnn=f",
        LAYER.replace(MADE, "pass") % "x",
        "does not call super",
    ),
    ("gnn=f", f"sys.exit(3)\n{LAYER % 'x'}", "line 5: SystemExit: 3"),
    ("scalars=f", "@scalar('f')\ndef f(d):\n    return 1.0", "f returns float, not a tensor"),
    ("scalars=f", "@scalar('f')\ndef f(d):\n    return d.sum()", "f returns a tensor of shape ()"),
    ("scalars=f", "@scalar('f')\ndef f(d):\n    return d.no", "line 7: AttributeError: 'Tensor'"),
    ("rbf=f", BASIS % "torch.stack([d, d], -1)", "2); it must be ("),
    ("gating=f", GATE % "d[..., None]", "1); it must be ("),
    ("readout=f", READOUT % "X[:, :1]", "1); it must be ("),
    ("model=f", NETWORK % "e[:, None]", "1); it must be ("),
    ("model=f", NETWORK % "e.sum()", "F returns a tensor of shape (); it must be ("),
    ("model=f", NETWORK % "(e, e)", "F returns tuple, not a tensor"),
    ("model=f", NETWORK % "self.own(numbers)[:, 0]", "do not depend on vectors"),
    ("model=f", NETWORK.replace("nn.Embedding(100, 1)", "1") % "e", "F has no parameters"),
    ("model=f", NETWORK.replace('"f"', '"f", forms=("fused",)') % "e", "F has no method prepare"),
]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(("chosen", "text", "said"), FAILING)
def test_a_variant_that_fails_as_it_computes_is_one_line(
    own, monkeypatch, capsys, chosen, text, said
):
    """Wrong shapes above all: tensors would be broadcast, and something else be trained."""
    own.write_text(f"{HEAD}{text}\n")
    words = asked(*(MY_NET[:3] if "model" in chosen else ()), chosen)
    status, _, err = inside(monkeypatch, capsys, "train", *words)
    assert status == 2
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("tiny")
def test_a_failure_is_written_down_with_its_line(own, monkeypatch, capsys):
    own.write_text(HEAD + LAYER % "x.no")
    words = asked("gnn=f")
    assert inside(monkeypatch, capsys, "train", *words)[0] == 2
    folder = run_folder(experiment(words))
    assert folder.status()["state"] == "failed"
    assert folder.status()["reason"].startswith(f"{own}, line 13: AttributeError: ")
    assert "Traceback" in folder.log.read_text()


@pytest.mark.usefixtures("tiny")
def test_a_variant_that_failed_at_once_leaves_its_folder_to_the_mended_one(
    own, monkeypatch, capsys
):
    """No epoch was trained, so that nothing is lost and --fresh need not be given."""
    words = asked("scalars=f", "trainer.epochs=1")
    own.write_text(f"{HEAD}@scalar('f')\ndef f(d):\n    return d[0]\n")
    assert inside(monkeypatch, capsys, "train", *words)[0] == 2
    folder = run_folder(experiment(words))
    status = folder.status()
    assert status["state"] == "failed"
    assert "f returns a tensor of shape" in status["reason"]
    assert status["reason"] in folder.log.read_text()

    plain = asked("trainer.epochs=1")  # in the place of the mended file, another identity
    run = run_folder(experiment(plain))
    run.path.mkdir(parents=True)
    run.write_status("failed", status["run"], status["reason"])
    assert inside(monkeypatch, capsys, "train", *plain)[0] == 0
    run.write_status("done", status["run"])
    assert inside(monkeypatch, capsys, "train", *plain)[0] == 2


def test_parameters_that_are_not_to_be_learned_are_not(own):
    """A step learns all parameters, so these are buffers; checkpoints have them all the same."""
    own.write_text(HEAD + LAYER.replace("width)\n\n", "width).requires_grad_(False)\n\n") % "x")
    layers = build_model(experiment(["gnn=f", "width=16"]).config).gnn
    assert [name for name, _ in layers.named_parameters()] == []
    assert {*layers.state_dict()} == {"layers.0.linear.weight", "layers.0.linear.bias"}


def test_a_scalar_that_is_not_finite_in_padding_is_computed_edge_by_edge(own):
    own.write_text(f"{HEAD}@scalar('f')\ndef f(d):\n    return 1 / (5.0 - d)\n")
    model = build_model(experiment(["scalars=f", "width=16"]).config)
    assert model.no_fused_form == "a scalar feature is not finite at the cutoff"


def test_no_parameter_has_the_name_of_another_key():
    parts = {"rbf": RBF, "gnn": GNN, "gating": Gating, "model": Model}
    for kind in KINDS.values():
        if kind.options:
            keys = {field.name for field in fields(parts[kind.group])}
            assert {*kind.taken} == keys - {*kind.keys}


def test_an_optional_parameter(tmp_path):
    file = tmp_path / "variants.py"
    file.write_text("@gate('f')\ndef f(experts, x: Optional[int] = None):\n    pass\n")
    (found,) = syntax.read_file(file, None)
    assert str(found.options["x"]) == "int or null"


OF_DEGREES = """
@graph_layer("f", of_neighbours=True)
class F(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x, edge_index):
        degree = edge_index[1].bincount(minlength=len(x))[edge_index[0], None].to(x.dtype)
        return self.linear(x.index_add(0, edge_index[1], x[edge_index[0]] / degree))
"""
WITHIN_2 = "e.index_add(0, edge_index[1], 0.0 + (vectors.norm(dim=-1) < 2))"
LOST = NETWORK.replace(
    "super().__init__()", "super().__init__()\n        self.lost = torch.rand(())"
)
BAD = {
    "test_its_state_is_all_that_it_is": LOST % "e * self.lost",
    "test_no_jump_within_the_cutoff": NETWORK % WITHIN_2,
    "test_gradients_of_a_training_step_are_finite": NETWORK
    % "(e - self.own(numbers)[:, 0]).sqrt()",
    "test_atoms_in_like_surroundings": OF_DEGREES,
}


@pytest.mark.parametrize(("name", "text"), BAD.items())
def test_what_is_wrong_fails_a_test_of_physics(own, name, text, float64):
    own.write_text(HEAD + text)
    wanted = experiment(["model=f"] if "@model" in text else ["gnn=f", "width=16"]).config
    found = Potential(build_model(wanted), torch.tensor([1, 6]), 0.7).eval()
    test = getattr(PotentialTests(), name)
    given = {"molecule": random_molecule((6, 1), 7, 1), "other": random_molecule((6, 1), 5, 2)}
    given = {k: v for k, v in given.items() if k in inspect.signature(test).parameters}
    with pytest.raises(AssertionError):
        test(found, wanted, **given)


def test_an_installed_package_that_cannot_be_imported_is_one_line(monkeypatch, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "__init__.py").write_text("1 / 0\n")
    text = "import nowhere\nfrom deepset_bench.variants import gate\n\n"
    (tmp_path / "lacking.py").write_text(f"{text}@gate('theirs')\ndef make(experts):\n    pass\n")
    install(tmp_path, "lacking = lacking")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=r"lacking\.py, line 1: ModuleNotFoundError: No module"):
        build_model(experiment(["gating=theirs"]).config)
    forget()
    shutil.rmtree(tmp_path / "theirs-1.0.dist-info")
    install(tmp_path, "broken = broken.variants")
    with pytest.raises(UserError, match=r"broken\.variants has variants, but is not there or can"):
        experiment(())


def test_a_file_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv(registry.ENVIRONMENT, str(tmp_path / "none.py"))
    with pytest.raises(UserError, match=r"none\.py: no such file of variants"):
        experiment(())


def install(folder: Path, points: str) -> None:
    """As pip would, a package with these entry points."""
    info = folder / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[deepset_bench.variants]\n{points}\n")


@pytest.mark.parametrize("points", ["theirs = theirs", "a = theirs:neighbours\nb = theirs:Even"])
def test_an_installed_package(monkeypatch, tmp_path, points):
    """Its entry points name the module, or each variant in it."""
    (tmp_path / "theirs.py").write_text(OWN.read_text())
    install(tmp_path, points)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = experiment(["gnn=neighbours", "width=16"]).config
    assert [one.module for one in found.variants if one.kind == "graph_layer"] == ["theirs"]
    assert sum(p.numel() for p in build_model(found).gnn.parameters()) == 16 * 8 + 8 + 8 * 16 + 16


options = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(
        lambda name: (
            name not in ("self", "width", "layers", "basis_size", *__import__("keyword").kwlist)
            and name not in KINDS["model"].given
            and name not in ("kind", "options")
        )
    ),
    st.one_of(
        st.integers(-9, 9), st.booleans(), st.floats(-1e3, 1e3), st.sampled_from(["a", "b c"])
    ),
    max_size=4,
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(found=options)
def test_options_of_any_name_have_their_defaults(tmp_path, monkeypatch, found):
    path = tmp_path / "any.py"
    listed = "".join(f", {name}: {type(v).__name__} = {v!r}" for name, v in found.items())
    path.write_text(f"@model('any_net')\ndef net(width: int = 4{listed}):\n    pass\n")
    monkeypatch.setenv(registry.ENVIRONMENT, str(path))
    forget()
    made = experiment(["model=any_net"])
    assert made.config.model.options == found
    assert made.variant == "any_net"
    for name, value in found.items():
        forget()
        text = (
            str(value).lower()
            if isinstance(value, bool)
            else f"'{value}'"
            if isinstance(value, str)
            else value
        )
        again = experiment(["model=any_net", f"model.{name}={text}"])
        assert again.identity("") == made.identity("")


def test_a_class_has_the_parameters_of_the_one_it_is_made_from(tmp_path):
    file = tmp_path / "variants.py"
    file.write_text(
        "from torch import nn\n"
        "from deepset_bench.variants import model\n"
        "@model('first')\n"
        "class First(nn.Module):\n"
        "    def __init__(self, cutoff: float, width: int, deep: int = 3) -> None: ...\n"
        "class Between(First): ...\n"
        "@model('second')\n"
        "class Second(Between): ...\n"
    )
    first, second = syntax.read_file(file, None)
    assert list(second.parameters) == ["cutoff", "width", "deep"]
    assert second.options == first.options
