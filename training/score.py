"""What a model made of a held-out case, and the file that keeps it: a line of JSON a run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from brats_trt.confidence import RawScore


@dataclass(frozen=True)
class Score:
    """A run's result: Dice by structure (1 where a structure is in neither), and whole tumour in ml.

    Attributes
    ----------
    model
        The sha256 of its file.
    name, tumour, image
        The case and its kinds.
    absent
        Modalities that it was run without.
    raw
        What the network expects of its own answer, before any calibration.
    """

    model: str
    name: str
    tumour: str
    image: str
    absent: tuple[str, ...]
    reference_ml: float
    found_ml: float
    dice: dict[str, float]
    raw: dict[str, RawScore]


@dataclass(frozen=True)
class ScoreFile:
    """Scores as they come; what was cut off in the midst of a line is passed over."""

    path: Path

    def add(self, score: Score) -> None:
        """Append a score."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(score)) + "\n")

    def read(self, model: str) -> list[Score]:
        """Those of a model."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines()
        documents = [json.loads(line) for line in lines if line.endswith("}")]
        return [_score(document) for document in documents if document["model"] == model]


def _score(document: dict[str, Any]) -> Score:
    raw = {name: RawScore(**entry) for name, entry in document["raw"].items()}
    return Score(**{**document, "absent": tuple(document["absent"]), "raw": raw})
