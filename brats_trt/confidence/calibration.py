"""From raw scores to the Dice that is to be expected: a curve a structure, which the model's file carries as JSON.

A curve is linear between its knots, constant beyond them and never falls, so a calibration puts no two cases in another
order. What was found and what was not have curves of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import EngineError
from .score import STRUCTURES, RawScore

METADATA_KEY = "brats_trt.calibration"
SCHEMA_VERSION = 1
LONGEST_NAME = 200
LARGEST = 64 * 1024  # characters of a document
_REMEDY = "take the model as it was made, or calibrate it again"


@dataclass(frozen=True)
class Curve:
    """Knots (raw score, Dice): the scores increase, the Dice never falls, all lie between 0 and 1.

    Raises
    ------
    EngineError
        If they do not.
    """

    knots: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if not self.knots:
            raise EngineError("a calibration's curve has no knots; expected one or more")
        if not all(0.0 <= number <= 1.0 for knot in self.knots for number in knot):
            raise EngineError(f"a calibration's curve has the knots {list(self.knots)}; expected numbers from 0 to 1")
        if any(after[0] <= before[0] or after[1] < before[1] for before, after in pairwise(self.knots)):
            raise EngineError(
                f"a calibration's curve has the knots {list(self.knots)}; expected scores that increase and Dice that "
                "never falls"
            )

    def at(self, raw: float) -> float:
        """The Dice to be expected at a raw score."""
        scores, dice = zip(*self.knots, strict=True)
        return float(np.interp(raw, scores, dice))


@dataclass(frozen=True)
class StructureCalibration:
    """The curves of one structure: where it was found, and where it was not.

    A curve is None where the cases that it was fitted on had none of the kind.
    """

    found: Curve | None
    absent: Curve | None


@dataclass(frozen=True)
class Calibration:
    """What raw scores of one model mean.

    Attributes
    ----------
    fitted_on
        The cases, in words for a reader: "40 synthetic cases that the model was not trained on".
    structures
        The curves of each of `STRUCTURES`.

    Raises
    ------
    EngineError
        If a structure is missing or unknown, or the words are none that can be printed in one line.
    """

    fitted_on: str
    structures: Mapping[str, StructureCalibration]

    def __post_init__(self) -> None:
        if not (0 < len(self.fitted_on) <= LONGEST_NAME and self.fitted_on.isprintable() and self.fitted_on.strip()):
            raise EngineError(
                f"a calibration was fitted on {self.fitted_on[:60]!r}; expected 1 to {LONGEST_NAME} characters that "
                "can be printed"
            )
        if set(self.structures) != set(STRUCTURES):
            raise EngineError(
                f"a calibration has the structures {sorted(self.structures)}; expected {sorted(STRUCTURES)}"
            )

    def expected(self, scores: Mapping[str, RawScore]) -> dict[str, float | None]:
        """The Dice to be expected of each structure; None where the calibration has no curve for what came."""
        curves = {
            name: self.structures[name].found if score.found else self.structures[name].absent
            for name, score in scores.items()
        }
        return {name: None if curve is None else curve.at(scores[name].value) for name, curve in curves.items()}

    def to_document(self) -> dict[str, Any]:
        """As JSON has it."""
        structures = {
            name: {"found": _knots(self.structures[name].found), "absent": _knots(self.structures[name].absent)}
            for name in STRUCTURES
        }
        return {"schema_version": SCHEMA_VERSION, "fitted_on": self.fitted_on, "structures": structures}

    def to_metadata(self) -> dict[str, str]:
        """The entry that ONNX metadata carries."""
        return {METADATA_KEY: json.dumps(self.to_document(), allow_nan=False)}

    @classmethod
    def from_document(cls, document: Any) -> Calibration:
        """Read what `to_document` gives, strictly.

        Raises
        ------
        EngineError
            If it is of another version, or an entry is missing, unknown, of another type or impossible.
        """
        try:
            return _read(document)
        except EngineError as fault:
            raise EngineError(f"the model's calibration is not readable: {fault}: {_REMEDY}") from None

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Calibration | None:
        """Read a model's calibration; None where it carries none.

        Raises
        ------
        EngineError
            As `from_document`, and if it is no JSON.
        """
        text = metadata.get(METADATA_KEY)
        if text is None:
            return None
        if len(text) > LARGEST:
            raise EngineError(
                f"the model's calibration has {len(text)} characters; expected at most {LARGEST}: {_REMEDY}"
            )
        try:
            document = json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique)
        except (ValueError, RecursionError) as fault:
            reason = fault if isinstance(fault, ValueError) else "nested too deeply"
            raise EngineError(f"the model's calibration is not JSON ({reason}): {_REMEDY}") from None
        return cls.from_document(document)


def _knots(curve: Curve | None) -> list[list[float]] | None:
    return None if curve is None else [list(knot) for knot in curve.knots]


def _read(document: Any) -> Calibration:
    version = document.get("schema_version") if isinstance(document, dict) else None
    if isinstance(document, dict) and (isinstance(version, bool) or version != SCHEMA_VERSION):
        raise EngineError(f"its schema_version is {version!r}; this version of brats_trt reads {SCHEMA_VERSION}")
    _check_entries("the document", document, ("schema_version", "fitted_on", "structures"))
    if not isinstance(document["fitted_on"], str):
        raise EngineError(f"fitted_on is {document['fitted_on']!r}; expected a string")
    _check_entries("structures", document["structures"], tuple(STRUCTURES))
    return Calibration(document["fitted_on"], {name: _structure(name, document["structures"]) for name in STRUCTURES})


def _structure(name: str, structures: Mapping[str, Any]) -> StructureCalibration:
    entry = structures[name]
    _check_entries(name, entry, ("found", "absent"))
    return StructureCalibration(_curve(f"{name}.found", entry["found"]), _curve(f"{name}.absent", entry["absent"]))


def _curve(where: str, knots: Any) -> Curve | None:
    if knots is None:
        return None
    if not isinstance(knots, list) or not all(isinstance(knot, list) and len(knot) == 2 for knot in knots):
        raise EngineError(f"{where} is {str(knots)[:60]}; expected a list of pairs or null")
    if any(isinstance(number, bool) or not isinstance(number, (int, float)) for knot in knots for number in knot):
        raise EngineError(f"{where} is {str(knots)[:60]}; expected pairs of numbers")
    return Curve(tuple((float(raw), float(dice)) for raw, dice in knots if _within(where, raw, dice)))


def _within(where: str, *numbers: float) -> bool:
    """Whether they lie between 0 and 1, before an integer becomes a float that may not hold it."""
    if not all(0 <= number <= 1 for number in numbers):
        raise EngineError(f"{where} has the knot {str(list(numbers))[:60]}; expected numbers from 0 to 1")
    return True


def _check_entries(where: str, value: Any, names: tuple[str, ...]) -> None:
    if not isinstance(value, dict):
        raise EngineError(f"{where} is {str(value)[:60]}; expected an object")
    if set(value) != set(names):
        raise EngineError(f"{where} has the entries {sorted(value)}; expected {sorted(names)}")


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a name twice")
    return found
