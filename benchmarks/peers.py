"""Other networks on the same batches: DeepSet X, and those of other packages."""

from __future__ import annotations

from benchmarks.step import CONTENDERS, SMALL, Contender, say, step_of
from benchmarks.tables import Table
from benchmarks.timing import milliseconds, of_threads, ratio
from deepset_bench.config import experiment
from deepset_bench.errors import NotInstalled
from deepset_bench.model.build import build_model
from deepset_bench.training.computing import begin
from deepset_bench.training.turns import interleaved

OURS = {"ours, reference": CONTENDERS[0], "ours, fused": CONTENDERS[1]}
NETWORKS = {
    "DeepSet X (64, 2 blocks)": "deepset_x",
    "DeepSet X, second sum (64, 3 blocks)": "deepset_x_2",
    "SchNet (128, 6 interactions)": "schnet",
    "ViSNet (l ≤ 1, 64, 3 layers)": "visnet",
    "TorchMD-Net ET (128, 6 layers)": "tmd_et",
    "TorchMD-Net ET (64, 3 layers)": "tmd_et_small",
    "TensorNet, torchmd-net (128, 2 layers)": "tmd_tensornet",
    "TensorNet, torchmd-net (32, 2 layers)": "tmd_tensornet_small",
    "TensorNet, graph-pes (128, 2 layers)": "tensornet",
    "TensorNet, graph-pes (32, 2 layers)": "tensornet_small",
    "PaiNN, graph-pes (128, 3 layers)": "painn",
    "PaiNN, graph-pes (32, 3 layers)": "painn_small",
    "NequIP, graph-pes (l ≤ 1, 32, 4 layers)": "nequip",
    "NequIP, graph-pes (l ≤ 2, 16, 3 layers)": "nequip_small",
    "MACE, graph-pes (128, L = 1, 2 layers)": "mace",
    "MACE, graph-pes (64, L = 0, 2 layers)": "mace_small",
}
"""Names and options of `model`; docs/model.md says whose sizes they are."""
WAYS = {"eager, ms": "false", "compiled, ms": "true"}


def measure(threads: int, repeats: int) -> list[Table]:
    """Time per step, eager and compiled, beside our reference form, at 20 frames."""
    begin(threads)
    each = {name: [ours] for name, ours in OURS.items()} | {
        name: [
            Contender(f"{name}; {way}", (f"model={option}", f"compile={chosen}"))
            for way, chosen in WAYS.items()
        ]
        for name, option in NETWORKS.items()
    }
    parameters, steps = {}, {}
    for name, contenders in each.items():
        config = experiment([*SMALL, *contenders[0].overrides]).config
        try:
            parameters[name] = sum(p.numel() for p in build_model(config).parameters())
        except NotInstalled as error:
            say(f"{name}: {error}")
            continue
        for contender in contenders:
            step = step_of(contender, [])
            if step is not None:
                steps[contender.name] = step
    seconds = interleaved(steps, repeats).seconds
    reference = seconds[CONTENDERS[0].name]
    rows = []
    for name, count in parameters.items():
        times = [seconds[one.name] for one in each[name] if one.name in seconds]
        shown = [milliseconds(time) for time in times] + ["—"] * (len(WAYS) - len(times))
        fastest = max(ratio(reference, time) for time in times)
        rows.append([name, f"{count:,}", *shown, f"{fastest:.2f}"])
    return [
        Table(
            f"Peers, {of_threads(threads)}.",
            f"The same {config.trainer.batch_size} frames, the same step (energies, forces, loss, "
            "backward, clip, AdamW), neighbours known beforehand; milliseconds, and how many times "
            "faster than our reference form the faster of both is; medians of "
            f"{repeats} steps. —: picks edges by values, which is not compiled.",
            ["model", "parameters", *WAYS, "×"],
            rows,
        )
    ]
