"""What compiled code is for: the processor's instructions, and the torch that loads it."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_CPUINFO = Path("/proc/cpuinfo")
# Of the flags that Linux lists, those of instructions that a compiler may use.
_INSTRUCTIONS = re.compile(
    r"(avx|sse|ssse|fma|bmi|f16c|amx|aes|sha_ni|vaes|vpclmul|pclmul|gfni|abm|movbe|popcnt|adx)\w*|"
    r"(asimd|sve|i8mm|bf16|fp)\w*"
)


def here() -> dict[str, Any]:
    """This machine and this torch: what code that is compiled here needs."""
    import torch

    return {
        "torch": torch.__version__,
        "system": platform.system(),
        "processor": platform.machine(),
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "instructions": _instructions(),
    }


def unlike(compiled: Mapping[str, Any]) -> str:
    """Why code that was compiled elsewhere is not to run here; empty where it is.

    Args:
        compiled: what `here` said there.
    """
    now = here()
    for key, word in (("torch", "torch "), ("system", ""), ("processor", ""), ("vectors", "")):
        if compiled[key] != now[key]:
            return f"for {word}{compiled[key]}, this is {word}{now[key]}"
    missing = sorted(set(compiled["instructions"]) - set(now["instructions"]))
    return f"for a processor with {', '.join(missing[:3])}" if missing else ""


def model_name() -> str:
    """The processor's model, as the system names it."""
    with suppress(OSError):
        for line in _CPUINFO.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        with suppress(OSError, subprocess.CalledProcessError):
            asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    return platform.processor() or platform.machine()


def _instructions() -> list[str]:
    """Sorted names; empty where the system does not list them."""
    with suppress(OSError):
        for line in _CPUINFO.read_text(encoding="utf-8").splitlines():
            if line.startswith(("flags", "Features")):
                words = line.partition(":")[2].split()
                return sorted({word for word in words if _INSTRUCTIONS.fullmatch(word)})
    return []
