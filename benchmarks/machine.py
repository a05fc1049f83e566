"""The conditions of a timing, as far as the machine and the packages know them."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from brats_trt.backends.openvino import cpu_precisions


def processor() -> str:
    """The processor's name, family and model, and what it computes in."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    except OSError:
        lines = []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = fields.get("model name") or platform.machine()
    family = f", family {fields['cpu family']}, model {fields['model']}" if "cpu family" in fields else ""
    return f"{name}{family} ({', '.join(p.upper() for p in cpu_precisions())})"


def versions(*packages: str) -> str:
    """Python's version and those of packages that are named as they are imported, where they are installed."""
    found = [f"Python {platform.python_version()}"]
    return ", ".join(found + [f"{name} {version(name)}" for name in packages if find_spec(name)])


def load() -> str:
    """What else the machine had to do in the last minutes, where that is known."""
    try:
        return ", ".join(f"{value:.1f}" for value in os.getloadavg())
    except OSError:
        return "unknown"
