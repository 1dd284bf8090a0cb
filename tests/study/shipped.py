"""The program's own studies."""

from __future__ import annotations

from deepset_bench.files import resource
from deepset_bench.study.published import published
from deepset_bench.sweep import studies
from deepset_bench.sweep.comparisons import Comparison

REPORT, GENERALISATION = (
    studies.read(resource("sweeps") / name) for name in ("badland_2025", "generalisation")
)
PRINTED = published(REPORT)


def asked_for(name: str) -> Comparison:
    """The comparison that a person names."""
    _, found = studies.find(name)
    assert found is not None
    return found
