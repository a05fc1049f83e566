"""What a user can ask of a raw exam."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from ..case_folder import modality_named
from ..errors import CaseError
from ..spec import MODALITIES, Modality

Alignment = Literal["header", "rigid"]
Strip = Literal["auto", "ensemble", "never"]


@dataclass(frozen=True)
class RawOptions:
    """How a raw exam is brought together.

    Attributes
    ----------
    mapping
        Modality to DICOM series, by number, UID or description, in place of what the rules say.
    align
        "header": by the series' own places alone. "rigid": they are registered to the grid's series on top.
    grid
        The series whose grid the labels come on.
    strip
        "auto": the brain by one network of HD-BET, unless the exam is stripped already. "ensemble": by the mean of its
        five networks. "never": every series as it is.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    align: Alignment = "header"
    grid: Modality = "t1ce"
    strip: Strip = "auto"

    def __post_init__(self) -> None:
        known = {"align": get_args(Alignment), "grid": MODALITIES, "strip": get_args(Strip)}
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise CaseError(f"{name} {getattr(self, name)!r} is not known; expected one of {', '.join(values)}")
        for modality in self.mapping:
            modality_named(modality)
