"""Graph layers against numpy sums over neighbours, and the number of parameters they add."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepset_bench import registry
from deepset_bench.model.deepset.graph import GraphLayers
from deepset_bench.model.drawn import of_step, set_drawn

pytestmark = pytest.mark.usefixtures("float64")

# Node 3 has no neighbours, node 0 has three; rows [source, target].
EDGES = np.array([[1, 2, 4, 0, 2, 0, 1], [0, 0, 0, 1, 1, 2, 4]])
POOL = {"mean": np.mean, "max": np.max, "sum": np.sum}
WIDTH = 8


def layers(kind: str, n_layers: int, aggregation: str) -> GraphLayers:
    layer = registry.find("graph_layer", kind)
    return GraphLayers(lambda: layer.call(width=WIDTH, aggregation=aggregation), n_layers)


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


def features() -> torch.Tensor:
    return torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(0))


def linear(module: torch.nn.Linear, x: np.ndarray) -> np.ndarray:
    y = x @ module.weight.detach().numpy().T
    return y if module.bias is None else y + module.bias.detach().numpy()


def pooled(messages: list[np.ndarray], aggregation: str) -> np.ndarray:
    return POOL[aggregation](messages, axis=0) if messages else np.zeros(WIDTH)


def sage(layer: torch.nn.Module, x: np.ndarray, aggregation: str) -> np.ndarray:
    """SiLU(W_1 pool_j x_j + b + W_2 x_i); Hamilton 2017."""
    around = [pooled([x[j] for j in EDGES[0][EDGES[1] == i]], aggregation) for i in range(5)]
    return silu(linear(layer.lin_l, np.array(around)) + linear(layer.lin_r, x))


def edge(layer: torch.nn.Module, x: np.ndarray, aggregation: str) -> np.ndarray:
    """SiLU(pool_j MLP([x_i ; x_j - x_i])); Wang 2019."""
    first, _, second = layer.nn

    def message(i: int, j: int) -> np.ndarray:
        return linear(second, silu(linear(first, np.concatenate([x[i], x[j] - x[i]]))))

    messages = [[message(i, j) for j in EDGES[0][EDGES[1] == i]] for i in range(5)]
    return silu(np.array([pooled(m, aggregation) for m in messages]))


def gat(layer: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    """SiLU(heads side by side of sum_j softmax_j(LeakyReLU(a.[Wx_j ; Wx_i])) W x_j + b).

    Velickovic 2018; i is one of its own neighbours.
    """
    h = linear(layer.lin, x).reshape(5, 4, -1)
    source, target = (a.detach().numpy() for a in (layer.att_src, layer.att_dst))
    out = np.zeros_like(h)
    for i in range(5):
        around = [*EDGES[0][EDGES[1] == i], i]
        logit = (h[around] * source).sum(-1) + (h[i] * target).sum(-1)
        weight = np.exp(np.where(logit > 0, logit, 0.2 * logit))
        out[i] = (h[around] * (weight / weight.sum(0))[..., None]).sum(0)
    return silu(out.reshape(5, WIDTH) + layer.bias.detach().numpy())


@pytest.mark.parametrize("aggregation", POOL)
@pytest.mark.parametrize(("kind", "formula"), [("sage", sage), ("edge", edge)])
@pytest.mark.parametrize("n_layers", [1, 3])
def test_convolutions(kind, formula, n_layers, aggregation):
    torch.manual_seed(0)
    made = layers(kind, n_layers, aggregation).eval()
    expected = features().numpy()
    for layer in made.layers:
        expected = formula(layer, expected, aggregation)
    found = made(features(), torch.tensor(EDGES)).detach()
    assert len(made.layers) == n_layers
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_attention():
    torch.manual_seed(0)
    made = layers("gat", 1, "mean").eval()
    with torch.no_grad():
        made.layers[0].bias.normal_()
    found = made(features(), torch.tensor(EDGES)).detach()
    np.testing.assert_allclose(found, gat(made.layers[0], features().numpy()), rtol=0, atol=1e-13)


def test_attention_drops_out_in_training_alone():
    torch.manual_seed(0)
    made = layers("gat", 1, "mean")
    edges = torch.tensor(EDGES)

    def at(step: int) -> torch.Tensor:
        set_drawn(dict(made.named_buffers()), of_step(0, step))
        return made(features(), edges)

    assert made.layers[0].attention_dropout == 0.1
    assert torch.equal(made.train()(features(), edges), made(features(), edges))
    assert not torch.equal(at(0), at(1))
    assert torch.equal(made.eval()(features(), edges), at(0))
    assert torch.equal(at(0), at(1))
    assert not any("drawn" in name for name in made.state_dict())
