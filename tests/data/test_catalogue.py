"""Named sets: found by name, verified, and never half-written."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from deepset_bench.data import catalogue
from deepset_bench.errors import UserError
from deepset_bench.files import data_home, data_place
from deepset_bench.groups import groups
from deepset_bench.molecules.frames import Frames
from deepset_bench.surroundings import failure


def hydrogen(energy: float = -13.6) -> Frames:
    return Frames(
        numbers=np.ones(2),
        positions=np.zeros((2, 3)),
        n_atoms=np.ones(2),
        energy=np.array([energy, energy + 1]),
        forces=np.ones((2, 3)),
        bias_forces=None,
        molecule=np.array(["h", "h"]),
        index=np.arange(2),
    )


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty place for imported sets, and none shipped."""
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "home"))
    monkeypatch.setattr(catalogue, "resource", lambda name: tmp_path / "shipped" / name)
    return tmp_path / "home"


def ship(home: Path, name: str) -> None:
    """Turn an imported set into one that comes with the program."""
    shipped = home.parent / "shipped" / "datasets"
    shipped.mkdir(parents=True, exist_ok=True)
    (home / name).rename(shipped / name)


def test_a_registered_set_is_found_by_name(home):
    folder = catalogue.register("h", hydrogen(), {"method": "exact"})
    assert folder == home / "h"
    assert catalogue.names() == ["h"]
    assert not catalogue.is_shipped("h")
    np.testing.assert_array_equal(catalogue.load("h").energy, hydrogen().energy)
    sheet = catalogue.datasheet("h")
    assert (sheet["name"], sheet["method"], sheet["frames"], sheet["atoms"]) == ("h", "exact", 2, 2)
    assert sorted(p.name for p in home.iterdir()) == [".lock", "conf", "h"]


@pytest.mark.parametrize("name", ["but-2-ene", "MD17_aspirin", "2-butene", "a.b"])
def test_an_imported_set_is_an_option_of_the_group_data(home, name):
    catalogue.register(name, hydrogen(), {})
    with initialize_config_dir(str(home / "conf"), version_base=None):
        config = compose(overrides=[f"+data={name}"])
    assert config == {
        "data": {
            "name": name,
            "train_size": 1,
            "val_size": 1,
            "test_size": 1,
            "split": "random",
        }
    }


@pytest.mark.parametrize(
    ("n_frames", "sizes"),
    [(6000, (1000, 100, 100)), (1200, (1000, 100, 100)), (60, (50, 5, 5)), (10, (8, 1, 1))],
)
def test_the_sizes_of_an_imported_set_fit_it(home, n_frames, sizes):
    catalogue.register("own", hydrogen().select(np.zeros(n_frames, dtype=int)), {})
    option = yaml.safe_load((home / "conf" / "data" / "own.yaml").read_text())
    assert (option["train_size"], option["val_size"], option["test_size"]) == sizes


def test_shipped_and_imported_sets_are_listed_together(home):
    catalogue.register("z", hydrogen(), {})
    ship(home, "z")
    catalogue.register("a", hydrogen(), {})
    assert catalogue.names() == ["a", "z"]
    assert catalogue.is_shipped("z")
    assert len(catalogue.load("z")) == 2


def test_an_unknown_name_gets_the_nearest_ones(home):
    with pytest.raises(UserError, match="unknown data set 'but2ene'; there are none yet"):
        catalogue.load("but2ene")
    catalogue.register("but-2-ene", hydrogen(), {})
    with pytest.raises(UserError, match="did you mean but-2-ene"):
        catalogue.load("but2ene")
    with pytest.raises(UserError, match="unknown data set"):
        catalogue.datasheet("../h")


def test_changed_frames_are_refused(home):
    catalogue.register("h", hydrogen(), {})
    hydrogen(0.0).save(home / "h" / "frames.npz")
    with pytest.raises(UserError, match=r"SHA-256 .* bench data import h --force") as caught:
        catalogue.load("h")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: [", "cannot be read"),
        (b"- a\n", "not a mapping"),
        (b"", "not a mapping"),
        (b"\xff\xfe", "cannot be read"),
        (b"name: h\n", "SHA-256"),
    ],
)
def test_a_damaged_datasheet_is_refused(home, content, expected):
    catalogue.register("h", hydrogen(), {})
    (home / "h" / "datasheet.yaml").write_bytes(content)
    with pytest.raises(UserError, match=expected) as caught:
        catalogue.load("h")
    assert "\n" not in str(caught.value)


def test_absent_frames_of_a_shipped_set_come_from_the_repository(home):
    catalogue.register("h", hydrogen(), {})
    ship(home, "h")
    (home.parent / "shipped" / "datasets" / "h" / "frames.npz").unlink()
    with pytest.raises(UserError, match=r"frames.npz: cannot be read .* from the repository"):
        catalogue.load("h")


def test_of_several_imports_of_one_new_name_one_succeeds(home):
    def outcome(_):
        try:
            return catalogue.register("h", hydrogen(), {})
        except UserError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(map(str, pool.map(outcome, range(8))))
    assert outcomes[-1] == str(home / "h")
    assert outcomes[:-1] == [f"'h' exists in {home}; take another name, or --force"] * 7


def test_sets_where_earlier_versions_put_them(tmp_path, monkeypatch):
    """Found, used and replaced by newer ones, which go to the system's folder for data."""
    monkeypatch.delenv("BENCH_DATA")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    earlier = tmp_path / ".cache" / "deepset_bench"
    with monkeypatch.context() as patch:
        patch.setenv("BENCH_DATA", str(earlier))
        catalogue.register("own", hydrogen(), {})
        (earlier / "downloads").mkdir()
    assert catalogue.load("own").energy[0] == -13.6
    assert "own" in groups()["data"]
    assert data_place("downloads") == earlier / "downloads"
    with pytest.raises(UserError, match=f"'own' exists in {earlier}"):
        catalogue.register("own", hydrogen(), {})
    assert catalogue.register("own", hydrogen(1.0), {}, force=True) == data_home() / "own"
    assert catalogue.load("own").energy[0] == 1.0
    assert earlier not in data_home().parents


def test_names_taken_are_refused(home):
    catalogue.register("h", hydrogen(), {})
    with pytest.raises(UserError, match=r"'h' exists .* --force"):
        catalogue.register("h", hydrogen(), {})
    catalogue.register("h", hydrogen(1.0), {}, force=True)
    assert catalogue.load("h").energy[0] == 1.0
    ship(home, "h")
    with pytest.raises(UserError, match="shipped"):
        catalogue.register("h", hydrogen(), {}, force=True)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".h",
        "-h",
        "a/b",
        "a\\b",
        "a b",
        "é",
        "conf",
        "Conf",
        "h\n",
        "h" * 65,
        "1e5",
        "2.5",
        "null",
        "True",
        "nan",
        "h.yaml",
    ],
)
def test_names_that_are_no_names_are_refused(home, name):
    with pytest.raises(UserError, match="cannot name a data set"):
        catalogue.register(name, hydrogen(), {})
    assert not home.exists()


@settings(max_examples=300, deadline=None)
@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True))
def test_every_other_name_is_one_to_hydra_too(name):
    try:
        catalogue.check_new(name, force=True)
    except UserError:
        return
    assert OverridesParser.create().parse_override(f"data={name}").value() == name


def test_a_home_that_cannot_be_written_says_so(home):
    home.write_text("a file, not a folder")
    with pytest.raises(NotADirectoryError) as caught:
        catalogue.register("h", hydrogen(), {})
    assert f"{home}: Not a directory" in str(failure(caught.value))
    assert "BENCH_DATA" in str(failure(caught.value))


class CrashError(Exception):
    pass


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("step", range(6))
def test_a_crash_leaves_the_old_state(home, monkeypatch, existing, step):
    """Whichever file operation fails, the name stands for all of the old set or for none."""
    if existing:
        catalogue.register("h", hydrogen(1.0), {})
    left = [step]

    def crashing(operation):
        def run(*arguments, **options):
            if left[0] == 0:
                left[0] -= 1
                raise CrashError
            left[0] -= 1
            return operation(*arguments, **options)

        return run

    with monkeypatch.context() as patch:
        patch.setattr(Frames, "save", crashing(Frames.save))
        patch.setattr(catalogue, "write_text", crashing(catalogue.write_text))
        patch.setattr(Path, "rename", crashing(Path.rename))
        patch.setattr(catalogue.yaml, "safe_dump", crashing(yaml.safe_dump))
        with pytest.raises(CrashError):
            catalogue.register("h", hydrogen(2.0), {}, force=True)
    assert catalogue.names() == (["h"] if existing else [])
    if existing:
        assert catalogue.load("h").energy[0] == 1.0
    assert {p.name for p in home.iterdir()} <= {".lock", "conf", "h"}
