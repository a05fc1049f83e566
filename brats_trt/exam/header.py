"""What is taken from a DICOM file's header: how it was acquired, and where each of its images lies.

Lengths are millimetres and times milliseconds, places and directions the patient's as DICOM has them: x to the left,
y to the back, z to the head. Names, numbers and dates of a patient are never kept; `Identity` has a digest of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Identity:
    """What two files have to share to be of one exam.

    Attributes
    ----------
    patient
        A digest of the patient's identifiers, which tells two patients apart and says nothing of either.
    study
        The study instance UID.
    """

    patient: str
    study: str


@dataclass(frozen=True)
class Acquisition:
    """How an image was acquired, as far as the header says; `None` and "" where it does not.

    Attributes
    ----------
    words
        Series description, protocol and sequence names, and the contrast that an enhanced image states.
    image_type
        Values of the image type or of the frame type, in capitals.
    inversion_recovery
        Whether the scanning sequence names an inversion.
    contrast_agent
        Whether the header names a contrast agent.
    started
        Date and time as DICOM writes them, of the kind that sorts as text.
    """

    words: str = ""
    image_type: tuple[str, ...] = ()
    repetition_ms: float | None = None
    echo_ms: float | None = None
    inversion_ms: float | None = None
    flip_deg: float | None = None
    inversion_recovery: bool = False
    contrast_agent: bool = False
    started: str = ""


@dataclass(frozen=True)
class Layout:
    """What the images of one volume share.

    Attributes
    ----------
    rows, columns
        Of an image.
    along_row, along_column
        Unit vectors: where the column index grows, and where the row index grows.
    row_mm, column_mm
        From one row to the next, and from one column to the next.
    echo
        The echo time, or which of several echoes.
    phase
        Which of several passes over the same places.
    component
        Magnitude, phase, or whatever else the image type tells apart.
    """

    rows: int
    columns: int
    along_row: Vector
    along_column: Vector
    row_mm: float
    column_mm: float
    echo: str = ""
    phase: str = ""
    component: str = ""


@dataclass(frozen=True)
class Frame:
    """One image of one slice: frame `index` of a file, the centre of whose first voxel lies at `position`."""

    path: Path
    index: int
    layout: Layout
    position: Vector
    slope: float
    intercept: float
    acquisition: Acquisition


@dataclass(frozen=True)
class Header:
    """One file.

    Attributes
    ----------
    frame_of_reference
        Its UID: images that share it share a coordinate system.
    number
        The scanner's number of the series; None where there is none.
    fault
        Why it can be part of no volume; then there are no frames.
    """

    path: Path
    identity: Identity
    series: str
    number: int | None
    description: str
    frame_of_reference: str
    frames: tuple[Frame, ...]
    fault: str = ""
