"""The devices that a sweep shares out, from lists as drivers print them; no GPU is needed."""

from __future__ import annotations

import sys

import pytest
import torch

from deepset_bench.sweep.executors import devices
from deepset_bench.sweep.executors.devices import cuda_devices, for_one_process

WHOLE = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-8d3f0f6c-1111-2222-3333-444444444444)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-9d3f0f6c-1111-2222-3333-444444444444)
"""
PARTS = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6-1111-2222-3333-444444444444)
  MIG 3g.20gb     Device  0: (UUID: MIG-aaaaaaaa-1111-2222-3333-444444444444)
  MIG 3g.20gb     Device  1: (UUID: MIG-bbbbbbbb-1111-2222-3333-444444444444)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-6d5ba0d6-1111-2222-3333-444444444444)
"""
MIG_A, MIG_B = (f"MIG-{8 * letter}-1111-2222-3333-444444444444" for letter in "ab")


@pytest.fixture
def machine(monkeypatch):
    """Set how many devices PyTorch counts, what is visible, and what the driver lists."""

    def set_up(count: int, visible: str | None = None, listed: str = "") -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(devices, "_asked", lambda *_: listed)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    return set_up


@pytest.mark.parametrize(
    ("count", "visible", "listed", "expected"),
    [
        (2, None, "", ("0", "1")),  # no nvidia-smi
        (2, None, WHOLE, ("0", "1")),
        (1, None, PARTS, (MIG_A, MIG_B, "1")),  # PyTorch counts one part of a GPU
        (2, "3,5", WHOLE, ("3", "5")),
        (2, " 3, 5", "", ("3", "5")),
        (1, "3,-1,5", "", ("3",)),  # CUDA ends at what is no device
        (2, "GPU-8d3f0f6c,GPU-9d3f0f6c", WHOLE, ("GPU-8d3f0f6c", "GPU-9d3f0f6c")),
        (1, f"{MIG_A},{MIG_B}", PARTS, (MIG_A, MIG_B)),
        (1, f"{MIG_B},{MIG_B}", PARTS, (MIG_B,)),
        (0, None, WHOLE, ()),  # a PyTorch without CUDA
    ],
)
def test_each_device_has_its_name(machine, count, visible, listed, expected):
    machine(count, visible, listed)
    assert cuda_devices() == expected


@pytest.mark.parametrize(
    ("modes", "expected"),
    [("Default\nDefault\n", False), ("Default\nExclusive_Process\n", True), ("", False)],
)
def test_a_gpu_for_one_process_is_known(machine, modes, expected):
    machine(2, None, modes)
    assert for_one_process() is expected


def test_a_driver_that_cannot_be_asked_lists_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices._asked("-L") == ""
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!{sys.executable}\nimport sys\nprint('GPU', sys.argv[1])\n")
    program.chmod(0o755)
    assert devices._asked("-L") == "GPU -L\n"
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.exit(9)\n")
    assert devices._asked("-L") == ""
