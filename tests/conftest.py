"""Fixtures that every test may use: own folders, one thread, tiny data."""

from __future__ import annotations

import os
import signal

# Test processes side by side, each with a thread a core for linear algebra, wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
import torch

os.environ["BENCH_DATA"] = os.devnull  # not the sets of whoever runs the tests
pytest.register_assert_rewrite("tests.model.physics")

from deepset_bench.data import catalogue  # noqa: E402
from deepset_bench.model import build  # noqa: E402
from deepset_bench.molecules.frames import Frames  # noqa: E402
from tests import toy  # noqa: E402


def pytest_addoption(parser):
    parser.addoption(
        "--perturb",
        type=float,
        default=0.0,
        metavar="SIZE",
        help="change every initial parameter by about SIZE of itself, as another processor's "
        "rounding would after a few steps (1e-6): no test may notice",
    )


@pytest.fixture(scope="session", autouse=True)
def perturbed(request):
    """`--perturb`: the same change in every model of the same shape."""
    size = request.config.getoption("perturb")
    make = build._network

    def make_and_change(config, width):
        network = make(config, width)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in network.parameters():
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.mul_(1 + size * noise)
        return network

    with pytest.MonkeyPatch.context() as patch:
        if size:
            patch.setattr(build, "_network", make_and_change)
        yield


@pytest.fixture(autouse=True)
def no_study(monkeypatch):
    """A command that was run in this process leaves none behind."""
    monkeypatch.setenv("BENCH_STUDY", "")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Bit-identical results on the CPU need a fixed number of threads."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def interruptible():
    """Processes started here take Ctrl-C, in a background job and after any other test."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """Imported data and runs of this test alone, and no network."""
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "data home"))  # a blank: paths are quoted
    monkeypatch.setenv("BENCH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    return tmp_path


@pytest.fixture(autouse=True)
def checkpoint_every_epoch(monkeypatch):
    """Tiny runs last less than the time between two checkpoints."""
    monkeypatch.setattr("deepset_bench.training.loop.CHECKPOINT_SECONDS", 0.0)


@pytest.fixture
def float64():
    """Parameters made in a test are float64 from the start, buffers included."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def tiny(own_folders) -> Frames:
    """The set `tiny`: 60 frames of C3H6 with bias forces, registered."""
    frames = toy.frames(3, 60, bias=0.5)
    catalogue.register("tiny", frames, {"method": "analytic"})
    return frames


@pytest.fixture
def two_molecules(own_folders) -> Frames:
    """The set `two`: 30 frames each of C2H4 and C3H6, registered."""
    frames = Frames.concatenate([toy.frames(2, 30, bias=0.5), toy.frames(3, 30, 1, bias=0.5)])
    catalogue.register("two", frames, {"method": "analytic"})
    return frames
