"""The log of a run: a line of JSON a step and a validation, in the order of stages and steps.

A run that goes on drops the lines past its checkpoint first, so that the log never tells of a step twice.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brats_trt.files import write_whole


@dataclass(frozen=True)
class RunLog:
    """The file."""

    path: Path

    def rewind(self, stage: int, step: int) -> None:
        """Keep what was before a step of a stage."""
        if self.path.exists():
            kept = [entry for entry in self.read() if (entry["stage"], entry["step"]) < (stage, step)]
            write_whole(self.path, "".join(map(_line, kept)).encode())

    def add(self, entry: dict[str, Any]) -> None:
        """Append an entry, which has at least "stage" and "step"."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(entry))

    def read(self) -> list[dict[str, Any]]:
        """All entries; a last line that was cut off is passed over."""
        lines = self.path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]


def _line(entry: dict[str, Any]) -> str:
    numbers = {key: _rounded(value) for key, value in entry.items()}
    return json.dumps(numbers) + "\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return value
