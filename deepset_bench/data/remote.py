"""What can be fetched: sets that others published, by name."""

from __future__ import annotations

from typing import Any

import yaml

from deepset_bench.files import resource

REMOTE = resource("datasets") / "remote.yaml"


def remotes() -> dict[str, dict[str, Any]]:
    """The published sets by name; remote.yaml as it is."""
    return dict(yaml.safe_load(REMOTE.read_text(encoding="utf-8")))
