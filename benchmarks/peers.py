"""Other networks on the same batches: DeepSet X, and PyG's SchNet and ViSNet."""

from __future__ import annotations

from benchmarks.step import CONTENDERS, SMALL, Contender, step_of
from benchmarks.tables import Table
from benchmarks.timing import milliseconds, of_threads, ratio
from deepset_bench.config import experiment
from deepset_bench.model.build import build_model
from deepset_bench.training.computing import begin
from deepset_bench.training.turns import interleaved

NETWORKS = {
    "ours, reference": CONTENDERS[0],
    "ours, fused": CONTENDERS[1],
    "DeepSet X (64, 2 blocks)": Contender("DeepSet X", ("model=deepset_x", "compile=false")),
    "SchNet (128, 6 interactions)": Contender("SchNet", ("model=schnet", "compile=false")),
    "ViSNet (l ≤ 1, 64, 3 layers)": Contender("ViSNet", ("model=visnet", "compile=false")),
}


def measure(threads: int, repeats: int) -> list[Table]:
    """Time per step beside our own forms, at 20 frames."""
    begin(threads)
    parameters, steps = {}, {}
    for name, contender in NETWORKS.items():
        config = experiment([*SMALL, *contender.overrides]).config
        parameters[name] = sum(p.numel() for p in build_model(config).parameters())
        step = step_of(contender, [])
        assert step is not None
        steps[name] = step
    seconds = interleaved(steps, repeats).seconds
    ours = seconds["ours, reference"]
    rows = [
        [name, f"{parameters[name]:,}", milliseconds(times), f"{ratio(ours, times):.2f}"]
        for name, times in seconds.items()
    ]
    return [
        Table(
            f"Peers, {of_threads(threads)}.",
            f"The same {config.trainer.batch_size} frames, the same step (energies, forces, loss, "
            "backward, clip, AdamW), neighbours known beforehand; how many times faster than our "
            f"reference form; medians of {repeats} steps.",
            ["model", "parameters", "ms", "×"],
            rows,
        )
    ]
