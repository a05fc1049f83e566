"""The record as a whole: made, written as JSON, and read back strictly.

Written, it is ASCII without `<`, `>` and `&` (JSON's escapes stand for them), so that the same text goes into a NIfTI
header and into a page of HTML.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, cast

from ..errors import CaseError
from ..notice import NOTICE
from ..plans.document import FieldError, read_value, shown
from ..plans.document import read_record as read_dataclass
from ..spec import Modality, Spec
from .parts import (
    GridRecord,
    InputRecord,
    MapRecord,
    ModelRecord,
    OptionsRecord,
    ProbabilitiesRecord,
    RawRecord,
    RuntimeRecord,
    VersionsRecord,
    VolumesRecord,
    check_finite,
    check_sha256,
)

SCHEMA = "brats_trt.run_record"
SCHEMA_VERSION = 3
DATE = "%Y-%m-%dT%H:%M:%SZ"
PRIVACY = (
    "Of the input this record holds names of files, without folders, and hashes. Nothing in it identifies a patient "
    "beyond what these names do."
)
LARGEST = 1024**2  # bytes
_LONGEST_SIDE = 240  # characters at each end of a message that a record may make longer
_ESCAPES = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&"}


@dataclass(frozen=True)
class RunRecord:
    """What is known of a run and of what it gave.

    Attributes
    ----------
    software
        Name and version: "brats_trt 0.1.0".
    date
        When the run ended, in UTC: "2026-01-31T12:00:00Z".
    inputs
        The volumes, in the order of the spec's modalities.
    masked
        The modalities that there was no volume of, and that were left out of the network.
    grid, model, spec, options, runtime, versions
        The input's grid; what was run; in which order of modalities; how; by what.
    timings_ms
        Milliseconds of each stage.
    warnings
        As the result has them, with names of files instead of paths, and without the case's name.
    volumes_ml
        Millilitres of each structure.
    labels_sha256
        Of the label map's bytes, uint8, x fastest.
    raw
        How a raw exam was brought together; None of a case on one grid.
    probabilities
        Of a probability map's own record; None elsewhere.
    entropy
        Of an entropy map's own record; None elsewhere.
    brain
        Of a brain mask's own record; None elsewhere.
    """

    software: str
    date: str
    inputs: tuple[InputRecord, ...]
    masked: tuple[Modality, ...]
    grid: GridRecord
    model: ModelRecord
    spec: Spec
    options: OptionsRecord
    runtime: RuntimeRecord
    versions: VersionsRecord
    timings_ms: Mapping[str, float]
    warnings: tuple[str, ...]
    volumes_ml: VolumesRecord
    labels_sha256: str
    raw: RawRecord | None = None
    probabilities: ProbabilitiesRecord | None = None
    entropy: MapRecord | None = None
    brain: MapRecord | None = None
    notice: str = NOTICE
    privacy: str = PRIVACY
    schema: str = SCHEMA
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        try:
            datetime.strptime(self.date, DATE)
        except ValueError:
            raise CaseError(f"date is {shown(self.date)}; expected a time such as 2026-01-31T12:00:00Z") from None
        if self.masked and self.options.missing != "mask":
            raise CaseError(f"{shown(self.masked)} were left out of a run that was not to leave any out")
        found = tuple(volume.modality for volume in self.inputs)
        expected = tuple(modality for modality in self.spec.modalities if modality not in self.masked)
        if found != expected or not found:
            raise CaseError(f"the inputs are {shown(found)}; expected {list(expected)}, the spec's order")
        check_finite(self.timings_ms.values(), least=0.0)
        check_sha256(self.labels_sha256)

    def document(self) -> dict[str, Any]:
        """As JSON has it: objects, lists, strings, numbers, true and false, null."""
        first = ("schema", "schema_version", "notice", "privacy")
        order = (*first, *(field.name for field in fields(self) if field.name not in first))
        plain = asdict(self)
        return {name: _plain(plain[name]) for name in order}

    def to_json(self) -> str:
        """The document in one line of ASCII, fit for a NIfTI header and for a page's `<script>`."""
        return json.dumps(self.document(), separators=(",", ":"), allow_nan=False).translate(_ESCAPES)

    @classmethod
    def from_document(cls, document: Any, source: str = "the run record") -> RunRecord:
        """Read a record; `source` begins the message of an error.

        Raises
        ------
        CaseError
            If it is of another schema or version, or a field is missing, unknown, of another type or impossible.
        """
        try:
            return _read(document)
        except FieldError as fault:
            text = str(fault)
            if len(text) > 2 * _LONGEST_SIDE:
                text = f"{text[:_LONGEST_SIDE]}...{text[-_LONGEST_SIDE:]}"
            raise CaseError(
                f"{source}: the run record is not readable: {text}: update brats_trt, or run the case again"
            ) from None

    @classmethod
    def from_json(cls, text: bytes, source: str = "the run record") -> RunRecord:
        """Read a record from its text.

        Raises
        ------
        CaseError
            As `from_document`, or if it is no JSON, has a name twice in one object, or is of more than 1 MiB.
        """
        return cls.from_document(parse_json(text, source), source)


def parse_json(text: bytes, source: str) -> Any:
    """Read JSON as the standard has it: no NaN, no name twice.

    Raises
    ------
    CaseError
        If it is none, or of more than 1 MiB.
    """
    if len(text) > LARGEST:
        raise CaseError(f"{source}: a run record of {len(text)} bytes; expected at most {LARGEST}: run the case again")
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as fault:
        reason = shown(str(fault)) if isinstance(fault, ValueError) else "nested too deeply"
        raise CaseError(f"{source}: the run record is not JSON ({reason}): run the case again") from None


def _read(document: Any) -> RunRecord:
    if not isinstance(document, dict):
        raise FieldError("", f"is {shown(document)}; expected an object")
    if document.get("schema") != SCHEMA:
        raise FieldError("schema", f"is {shown(document.get('schema'))}; expected {SCHEMA!r}")
    version = read_value(int, document.get("schema_version"), "schema_version")
    if version != SCHEMA_VERSION:
        raise FieldError("schema_version", f"is {shown(version)}; this version of brats_trt reads {SCHEMA_VERSION}")
    return cast(RunRecord, read_dataclass(RunRecord, document, "", {}))


def _plain(value: Any) -> Any:
    """Lists for tuples, all the way down."""
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, (tuple, list)) else value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a name twice")
    return found
