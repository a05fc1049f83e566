"""What a run record is made of; each part refuses values that cannot be. docs/record.md has every field."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ..errors import CaseError
from ..plans.document import shown
from ..spec import LabelScheme, Missing, Modality
from ..volume import OriginKind

Rows = tuple[
    tuple[float, float, float, float],
    tuple[float, float, float, float],
    tuple[float, float, float, float],
    tuple[float, float, float, float],
]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_WORD = re.compile(r"[\w.+ -]{1,100}", re.ASCII)
_LONGEST_NAME = 255  # of a file, on Linux
_SPACING_TOLERANCE = 1e-6  # of a voxel's size, which is a root of sums


@dataclass(frozen=True)
class InputRecord:
    """One volume as it was handed over.

    Attributes
    ----------
    kind
        "file", "image" of nibabel, "array", "device_array", which lay on a GPU, or "series" of DICOM files.
    name
        The file's name without its folder; None of what was no file.
    index
        Along the fourth axis of a 4-D input; None of a volume by itself.
    sha256
        Of the file's bytes, of the sha256 of a series' files in increasing order, or of the voxels and their geometry
        (`hashing.volume_sha256`); None of what lay on a GPU, and of what was not to be hashed.
    """

    modality: Modality
    kind: OriginKind
    name: str | None
    index: int | None
    sha256: str | None

    def __post_init__(self) -> None:
        if (self.name is None) == (self.kind == "file"):
            raise CaseError(
                f"an input of kind {self.kind!r} and name {shown(self.name)}; expected a name of files only"
            )
        if self.name is not None and (not 0 < len(self.name) <= _LONGEST_NAME or set("/\0") & set(self.name)):
            raise CaseError(f"an input's name is {shown(self.name)}; expected that of a file, without folder")
        if self.index is not None and not 0 <= self.index <= 3:
            raise CaseError(f"an input's index is {shown(self.index)}; expected 0 to 3")
        if self.sha256 is not None:
            check_sha256(self.sha256)


@dataclass(frozen=True)
class GridRecord:
    """The grid of input and label map: voxels, voxel to millimetre, and a voxel's edges in millimetres."""

    shape: tuple[int, int, int]
    affine: Rows
    voxel_size_mm: tuple[float, float, float]

    def __post_init__(self) -> None:
        if min(self.shape) < 1:
            raise CaseError(f"a grid of shape {shown(self.shape)}; expected positive numbers")
        check_finite(number for row in self.affine for number in row)
        for size, column in zip(self.voxel_size_mm, zip(*self.affine[:3], strict=True), strict=False):
            if not math.isclose(size, math.hypot(*column), rel_tol=_SPACING_TOLERANCE):
                raise CaseError(f"a voxel's edge of {size} mm beside an affine that makes it {math.hypot(*column)} mm")


@dataclass(frozen=True)
class PlanRecord:
    """The plan that ran: its file's sha256, the library that it is of, and the version that ran it."""

    sha256: str
    flavour: Literal["tensorrt", "tensorrt-rtx"]
    library_version: str

    def __post_init__(self) -> None:
        check_sha256(self.sha256)
        check_word(self.library_version)


@dataclass(frozen=True)
class ModelRecord:
    """The model's ONNX file, and the plan built of it; None where the network was computed from the file itself."""

    sha256: str
    plan: PlanRecord | None

    def __post_init__(self) -> None:
        check_sha256(self.sha256)


@dataclass(frozen=True)
class OptionsRecord:
    """What the segmenter was asked for, as `Segmenter` calls it."""

    tta: bool
    min_region: float
    labels: LabelScheme
    strict: bool
    missing: Missing

    def __post_init__(self) -> None:
        if not 0.0 <= self.min_region <= 1.0:
            raise CaseError(f"min_region is {self.min_region}; expected a share from 0 to 1")


@dataclass(frozen=True)
class MotionRecord:
    """How far the head had moved in a series against the grid's, and by how much it had turned."""

    modality: Modality
    shift_mm: float
    angle_deg: float

    def __post_init__(self) -> None:
        check_finite((self.shift_mm, self.angle_deg), least=0.0)


@dataclass(frozen=True)
class RawRecord:
    """How a raw exam was brought together.

    Attributes
    ----------
    align, strip, grid
        As they were asked for.
    stripped
        Whether the exam came without its skull.
    working_grid
        On which volumes were measured and the network's crop lies.
    motions
        Of the series that were registered.
    """

    align: Literal["header", "rigid"]
    strip: Literal["auto", "ensemble", "never"]
    grid: Modality
    stripped: bool
    working_grid: GridRecord
    motions: tuple[MotionRecord, ...]


@dataclass(frozen=True)
class RuntimeRecord:
    """What computed: the network's runtime, device and precision, threads, and the host stages' instruction set."""

    name: str
    device: Literal["cpu", "cuda"]
    precision: str
    threads: int
    instruction_set: str

    def __post_init__(self) -> None:
        for word in (self.name, self.precision, self.instruction_set):
            check_word(word)
        if self.threads < 1:
            raise CaseError(f"{shown(self.threads)} threads; expected 1 or more")


@dataclass(frozen=True)
class VersionsRecord:
    """Of what took part, None where it was not loaded; `platform` is the system and the processor's kind."""

    brats_trt: str
    python: str
    platform: str
    numpy: str
    onnx: str | None
    openvino: str | None
    cupy: str | None
    tensorrt: str | None
    tensorrt_rtx: str | None

    def __post_init__(self) -> None:
        for word in vars(self).values():
            if word is not None:
                check_word(word)


@dataclass(frozen=True)
class VolumesRecord:
    """Millilitres of each structure."""

    whole_tumour: float
    tumour_core: float
    enhancing: float
    necrotic: float
    oedema: float

    def __post_init__(self) -> None:
        check_finite(vars(self).values(), least=0.0)


@dataclass(frozen=True)
class ProbabilitiesRecord:
    """The probability map beside the record: its shape, voxel to millimetre, and the sha256 of its voxels."""

    shape: tuple[int, int, int, int]
    affine: Rows
    sha256: str

    def __post_init__(self) -> None:
        if min(self.shape) < 1:
            raise CaseError(f"probabilities of shape {shown(self.shape)}; expected positive numbers")
        check_finite(number for row in self.affine for number in row)
        check_sha256(self.sha256)


@dataclass(frozen=True)
class MapRecord:
    """A map that the record lies in, of entropy or of the brain: shape, voxel to millimetre, sha256 of its voxels."""

    shape: tuple[int, int, int]
    affine: Rows
    sha256: str

    def __post_init__(self) -> None:
        if min(self.shape) < 1:
            raise CaseError(f"a map of shape {shown(self.shape)}; expected positive numbers")
        check_finite(number for row in self.affine for number in row)
        check_sha256(self.sha256)


def check_sha256(text: str) -> None:
    """Refuse what is no sha256 in hexadecimal digits."""
    if not _SHA256.fullmatch(text):
        raise CaseError(f"a sha256 is {shown(text)}; expected 64 hexadecimal digits")


def check_word(text: str) -> None:
    """Refuse what is no name or version: it is printed."""
    if not _WORD.fullmatch(text):
        raise CaseError(f"{shown(text)} is no name or version; expected letters, digits and . + - _")


def check_finite(numbers: Iterable[float], *, least: float = -math.inf) -> None:
    """Refuse infinity, NaN and what is below `least`."""
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise CaseError(f"{shown(number)} stands for a number")
        if not least <= number < math.inf or number == -math.inf:
            raise CaseError(f"{shown(number)} stands for a number that is finite and at least {least}")
