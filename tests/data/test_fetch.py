"""`bench data fetch` from a local server: by one command from nothing to a set."""

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from deepset_bench.cli.data_group import app
from deepset_bench.data import catalogue, remote
from deepset_bench.errors import UserError
from tests.data.server import serve
from tests.readers.dialects import FRC, PLACES, POS, ani1x, npz, rmd17, write_hdf5


@pytest.fixture
def site():
    with serve() as site:
        yield site


@pytest.fixture
def publish(site, tmp_path, monkeypatch):
    """Publish one set as `water`, with what remote.yaml says of it."""

    def publish(content: bytes, file: str, **facts) -> None:
        site.content = content
        known = {"about": "water", "page": "https://page", "url": site.url, "file": file, **facts}
        path = tmp_path / "remote.yaml"
        path.write_text(yaml.safe_dump({"water": known}))
        monkeypatch.setattr(remote, "REMOTE", path)

    return publish


def fetch(*words: str) -> str:
    result = CliRunner().invoke(app, ["fetch", *words], env={"COLUMNS": "80"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def md5(content: bytes) -> str:
    return f"md5:{hashlib.md5(content).hexdigest()}"


def home(tmp_path) -> Path:
    return tmp_path / "data home"


def test_an_npz(site, publish, tmp_path):
    content = npz(rmd17())
    facts = {"bytes": len(content), "checksum": md5(content), "method": "PBE/def2-SVP"}
    publish(content, "rmd17_water.npz", **facts)
    assert "water: 2 frames in" in fetch("water", "--frames", "2-3")
    np.testing.assert_array_equal(catalogue.load("water").positions, PLACES[1:3].reshape(-1, 3))
    sheet = catalogue.datasheet("water")
    assert sheet["method"] == "PBE/def2-SVP"
    assert sheet["page"] == "https://page"
    assert sheet["command"] == "bench data fetch water --frames 2-3"
    assert [p.name for p in (home(tmp_path) / "downloads").glob("*.npz")] == ["rmd17_water.npz"]
    with pytest.raises(UserError, match="'water' exists"):
        fetch("water")
    fetch("water", "--force")
    assert len(catalogue.load("water")) == 4
    assert site.requests == [None]  # the file that was fetched was used again


def test_part_of_an_hdf5(publish, tmp_path):
    pytest.importorskip("h5py")
    content = write_hdf5(tmp_path / "ani.h5", ani1x()).read_bytes()
    publish(content, "ani1x-release.h5", checksum=md5(content))
    fetch("water", "--formula", "OH2")
    frames = catalogue.load("water")
    assert frames.index.tolist() == [0, 1, 3]
    assert set(frames.molecule) == {"water"}
    assert catalogue.datasheet("water")["command"] == "bench data fetch water --formula OH2"


WATER = """3
Properties=species:S:1:pos:R:3:forces:R:3 energy=-5.7 pbc="F F F"
O 0 0 0 0 0 0.1
H 0.96 0 0 0 0 0
H -0.24 0.93 0 0 0 -0.1
"""
OXYGEN = "1\nenergy=-5\nO 0 0 0\n"
SCANNED = "3\nenergy={}\nO 0 0 0\nH {} 0 0\nH -0.24 0.93 0\n"


def test_sets_of_several_files_and_of_other_sets(site, tmp_path, monkeypatch):
    """With lone atoms, which need no forces, and with energies alone, joined under their names."""
    texts = {
        "water.xyz": WATER,
        "atoms.xyz": OXYGEN,
        "scan.xyz": "".join(SCANNED.format(-5.7 + d, 0.96 + d) for d in (0.0, 0.1, 0.2)),
    }
    folder = home(tmp_path) / "downloads"
    folder.mkdir(parents=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    one, two, three = (
        {"file": name, "url": site.url, "checksum": md5(text.encode())}
        for name, text in texts.items()
    )
    facts = {"about": "water", "page": "https://page", "licence": "MIT"}
    known = {
        "water": {**facts, "files": [one, two]},
        "bent": {**facts, "files": [one]},
        "scan": {**facts, "files": [three], "frames": "2-3", "energies_only": True},
        "both": {**facts, "sets": ["bent", "scan"]},
    }
    path = tmp_path / "remote.yaml"
    path.write_text(yaml.safe_dump(known))
    monkeypatch.setattr(remote, "REMOTE", path)
    fetch("water")
    water = catalogue.load("water")
    assert water.n_atoms.tolist() == [3, 1]
    assert water.lone_atoms.tolist() == [False, True]
    assert not water.forces[3:].any()
    assert catalogue.datasheet("water")["licence"] == "MIT"
    assert "score a run on it with: bench evaluate RUN data=both" in fetch("both")
    both = catalogue.load("both")
    assert both.molecule.tolist() == ["bent", "scan", "scan"]
    assert both.has_forces.tolist() == [True, False, False]
    np.testing.assert_allclose(both.energy, [-5.7, -5.6, -5.5])
    assert {"water", "bent", "scan", "both"} <= set(catalogue.names())
    assert site.requests == []


def archive(pos: str = POS, frc: str = FRC) -> bytes:
    """A repository as a tar.gz: the frames of both files, one a file, in no order."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for text, kind in ((pos, "pos"), (frc, "forces")):
            lines = text.splitlines(keepends=True)
            for m in (2, 0, 3, 1):
                content = "".join(lines[5 * m : 5 * m + 5]).encode()
                entry = tarfile.TarInfo(f"repo-abc/examples/raw/part_{9 + m}.{kind}")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        tar.addfile(tarfile.TarInfo("repo-abc/README"))
    return stream.getvalue()


MEMBERS = {
    role: {
        "pattern": f"examples/raw/part_*.{kind}",
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    for role, kind, text in (("positions", "pos", POS), ("forces", "forces", FRC))
}


def test_a_trajectory_in_an_archive(site, publish, tmp_path):
    publish(archive(), "repo.tar.gz", members=MEMBERS)
    assert "water: 4 frames" in fetch("water")
    np.testing.assert_allclose(catalogue.load("water").positions, PLACES.reshape(-1, 3), atol=1e-9)
    folder = home(tmp_path) / "downloads"
    files = {p.name: p.read_text() for p in folder.glob("*") if p.suffix != ".lock"}
    assert files == {"water-positions.xyz": POS, "water-forces.xyz": FRC}
    fetch("water", "--force")
    assert len(site.requests) == 1
    (folder / "water-forces.xyz").write_text(POS)  # damaged: fetched again
    fetch("water", "--force")
    assert len(site.requests) == 2


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (archive(pos=POS.replace("0.01", "0.02")), r"part_\*.pos are not the published ones"),
        (archive()[:-50], "repo.tar.gz: is damaged"),
        (b"<html>", "repo.tar.gz: is damaged"),
    ],
)
def test_another_archive_is_refused_and_removed(publish, tmp_path, content, expected):
    publish(content, "repo.tar.gz", members=MEMBERS)
    with pytest.raises(UserError, match=expected) as caught:
        fetch("water")
    assert "\n" not in str(caught.value)
    assert not [p for p in (home(tmp_path) / "downloads").iterdir() if p.suffix != ".lock"]
    assert not (home(tmp_path) / "water").exists()


def test_trajectories_put_there_by_hand_are_used(site, publish, tmp_path):
    publish(b"", "repo.tar.gz", members=MEMBERS)
    folder = home(tmp_path) / "downloads"
    folder.mkdir(parents=True)
    (folder / "water-positions.xyz").write_text(POS)
    (folder / "water-forces.xyz").write_text(FRC)
    fetch("water", "--frames", "1-2")
    assert len(catalogue.load("water")) == 2
    assert site.requests == []


def test_a_set_that_can_be_fetched_is_not_unknown(own_folders):
    with pytest.raises(UserError, match=r"'ani-1x' are not here: bench data fetch ani-1x$"):
        catalogue.load("ani-1x")


def test_what_is_published_is_listed(capsys):
    output = fetch()
    assert max(map(len, output.splitlines())) <= 80
    for name in ("report-but-2-ene", "report-pentene", "rmd17-ethanol", "ani-1x"):
        assert name in output
    for each in remote.remotes().values():
        assert each["page"] in output
        assert set(each.get("sets", ())) <= remote.remotes().keys()
        for one in [] if "sets" in each else each.get("files", [each]):
            assert one["url"].startswith("https://")
            algorithm, _, checksum = one.get("checksum", "::").partition(":")
            lengths = {"md5": 32, "sha256": 64}
            assert "members" in each or len(checksum) == lengths[algorithm]


def test_an_unknown_name_gets_the_nearest_ones(site):
    with pytest.raises(UserError, match=r"unknown published set 'rmd17-etanol'; .*rmd17-ethanol"):
        fetch("rmd17-etanol")
