"""The gate against numpy, and its limits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deepset_bench.model.deepset.gate import DistanceGate

T = [0.6, 1.1, 1.9, 3.0, 4.2]
KINKS = [*T, *((s + t) / 2 for s in T for t in T)]  # poles, and where two thresholds tie
distances = st.floats(0.3, 6.0).filter(lambda d: min(abs(d - t) for t in KINKS) > 1e-3)


def gate(top_k: int | None = None, thresholds: list[float] = T) -> DistanceGate:
    made = DistanceGate(len(thresholds), top_k).double()
    with torch.no_grad():
        made.thresholds.copy_(torch.tensor(thresholds, dtype=torch.float64))
    return made


def expected(d: float, top_k: int) -> np.ndarray:
    """Softmax by hand over the `top_k` nearest thresholds."""
    distance = np.abs(d - np.array(T))
    kept = np.argsort(distance, kind="stable")[:top_k]
    logits = 1 / distance[kept]
    weights = np.zeros(len(T))
    weights[kept] = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    return weights


@given(d=distances, top_k=st.sampled_from([None, 1, 2, 3, 5]))
def test_softmax_of_the_inverse_distance_to_the_thresholds(d, top_k):
    found = gate(top_k)(torch.tensor(d, dtype=torch.float64)).detach().numpy()
    # 1 / 1e-3 is right to 1e-13 after d - t lost three digits; exp keeps the absolute error.
    np.testing.assert_allclose(found, expected(d, top_k or len(T)), rtol=0, atol=1e-12)
    assert found.sum() == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize("top_k", [None, 3])
def test_at_a_threshold_that_expert_serves_alone_and_nothing_overflows(top_k):
    weights = gate(top_k)(torch.tensor(T, dtype=torch.float64)).detach()
    np.testing.assert_array_equal(weights, np.eye(len(T)))


def test_two_experts_that_tie_for_the_last_place_share_it():
    between = gate(1)(torch.tensor((T[1] + T[2]) / 2, dtype=torch.float64)).detach()
    # 1.1 and 1.9 are equally far from 1.5 up to a rounding, which may decide for one of them.
    assert between[1] + between[2] == 1.0


def test_one_expert_has_weight_one_whatever_the_distance():
    weights = gate(thresholds=[1.0])(torch.tensor([0.5, 1.0, 7.0], dtype=torch.float64))
    np.testing.assert_array_equal(weights.detach(), 1.0)


def test_top_k_of_all_is_dense():
    d = torch.linspace(0.5, 5, 40, dtype=torch.float64)
    torch.testing.assert_close(gate(len(T))(d), gate()(d), rtol=0, atol=0)


def test_shape_follows_the_distances():
    assert gate()(torch.ones(2, 3, dtype=torch.float64)).shape == (2, 3, len(T))


def test_thresholds_start_near_zero_as_in_the_report():
    torch.manual_seed(0)
    thresholds = DistanceGate(10_000).thresholds.detach()
    # Standard error of the deviation of 10,000 normal numbers: 0.7 %; four of them.
    assert thresholds.std().item() == pytest.approx(0.01, rel=0.03)
    assert abs(thresholds.mean().item()) < 4 * 0.01 / 100
