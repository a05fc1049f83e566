"""What a manifest holds, record by record; each refuses values that cannot be. docs/manifest.md has every field."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, Literal

from ..backends.model import CLASSES
from ..confidence import Calibration
from ..errors import EngineError
from ..notice import NOTICE
from ..spec import Modality, Spec
from .recipe import Recipe

SCHEMA = 1
PORTABLE = "portable"
OCTANTS = 8
DATE = "%Y-%m-%dT%H:%M:%SZ"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"\d+(\.\d+){1,3}")
_CAPABILITY = re.compile(r"\d+\.\d")

FlavourName = Literal["tensorrt", "tensorrt-rtx"]
ElementType = Literal["float16", "float32"]
OctantCounts = tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True)
class RuntimeIdentity:
    """The library and the GPU that a plan is to run on.

    Attributes
    ----------
    version
        Of the library: "10.16.1.11".
    compute_capability
        Of the GPU: (8, 9).
    """

    flavour: FlavourName
    version: str
    device_name: str
    compute_capability: tuple[int, int]


@dataclass(frozen=True)
class OnnxRecord:
    """The model that a plan was built from: its file's name, without folder, and sha256."""

    name: str
    sha256: str

    def __post_init__(self) -> None:
        _check_text("sha256", self.sha256, _SHA256, "64 hexadecimal digits")


@dataclass(frozen=True)
class PlanRecord:
    """The plan's file: its sha256 and bytes."""

    sha256: str
    nbytes: int

    def __post_init__(self) -> None:
        _check_text("sha256", self.sha256, _SHA256, "64 hexadecimal digits")


@dataclass(frozen=True)
class RuntimeRecord:
    """The library that built a plan: "tensorrt" or "tensorrt-rtx", and its version, "10.16.1.11"."""

    flavour: FlavourName
    version: str

    def __post_init__(self) -> None:
        _check_text("version", self.version, _VERSION, "numbers with points between them")


@dataclass(frozen=True)
class DeviceRecord:
    """The GPU that a plan was built on, or those that it was built for.

    Attributes
    ----------
    name
        As its maker calls it, or "portable" where no GPU took part.
    compute_capabilities
        "8.9"; one of the GPU, or each that a portable plan runs on.
    """

    name: str
    compute_capabilities: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.compute_capabilities or (self.name != PORTABLE and len(self.compute_capabilities) > 1):
            raise EngineError(
                f"{len(self.compute_capabilities)} compute capabilities for {self.name!r}; expected one, or several "
                f"for {PORTABLE!r}"
            )
        for capability in self.compute_capabilities:
            _check_text("compute_capabilities", capability, _CAPABILITY, "a number such as 8.9")


@dataclass(frozen=True)
class TensorRecord:
    """One of the plan's tensors; the shape is (1, channels, D, H, W)."""

    name: str
    dtype: ElementType
    shape: tuple[int, int, int, int, int]


@dataclass(frozen=True)
class TensorRecords:
    """What a plan takes and gives."""

    input: TensorRecord
    output: TensorRecord


@dataclass(frozen=True)
class Golden:
    """A made-up crop and what the model makes of it, in FP32 on the CPU.

    Attributes
    ----------
    seed
        Of `golden_crop`.
    modalities
        The order of the crop's channels.
    counts
        Voxels of each class in each octant of the crop: (8, 4). Octant 4 a + 2 b + c is the lower (0) or upper (1) half
        of axes x, y and z.
    tolerance
        The share of all voxels that may be counted in another class or octant.
    """

    seed: int
    modalities: tuple[Modality, ...]
    counts: OctantCounts
    tolerance: float

    def __post_init__(self) -> None:
        Spec(self.modalities)
        check_counts(self.counts, self.tolerance)


@dataclass(frozen=True, kw_only=True)
class BasicManifest:
    """What is known of a plan, whatever its network is for.

    Attributes
    ----------
    channels
        Of the network's input and of its output.
    spec
        The preprocessing that the network expects; None where whoever runs it knows.
    onnx, plan, runtime, device, tensors
        The model, the plan's file, the library that built it, the GPUs that it runs on, what it takes and gives.
    recipe
        How it was built.
    command
        The command line after which there is a new plan.
    created
        When it was built, in UTC: "2026-01-31T12:00:00Z".
    """

    channels: ClassVar[int]
    onnx: OnnxRecord
    plan: PlanRecord
    runtime: RuntimeRecord
    device: DeviceRecord
    tensors: TensorRecords
    recipe: Recipe
    spec: Spec | None = None
    command: str
    created: str
    notice: str = NOTICE
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        try:
            datetime.strptime(self.created, DATE)
        except ValueError:
            raise EngineError(f"created is {self.created!r}; expected a time such as 2026-01-31T12:00:00Z") from None

    def to_json(self) -> dict[str, Any]:
        """As the file has it; tuples stand for lists."""
        order = ("schema", "notice", *(f.name for f in fields(self) if f.name not in ("schema", "notice")))
        plain = {**asdict(self), "recipe": self.recipe.to_json()}
        return {name: plain[name] for name in order}


@dataclass(frozen=True, kw_only=True)
class Manifest(BasicManifest):
    """What is known of a plan of the tumours' network.

    Attributes
    ----------
    spec
        The preprocessing that the model expects, with the order of its modalities.
    audit
        What FP16 costs this model, or None where it was not asked for.
    golden
        A check of the plan once it is loaded.
    calibration
        The model's; the file has the field only where there is one.
    """

    channels = CLASSES
    spec: Spec
    audit: Mapping[str, Any] | None
    golden: Golden
    calibration: Calibration | None = None

    def to_json(self) -> dict[str, Any]:
        """As the file has it; tuples stand for lists."""
        plain = super().to_json()
        if self.calibration is None:
            del plain["calibration"]
        else:
            plain["calibration"] = self.calibration.to_document()
        return plain


def check_counts(counts: Sequence[Sequence[int]], tolerance: float) -> None:
    """Refuse counts of a golden case that cannot be.

    Raises
    ------
    EngineError
        If there are not eight octants, a count is negative or all are 0, or the tolerance is no share.
    """
    if len(counts) != OCTANTS:
        raise EngineError(f"counts of {len(counts)} octants; expected {OCTANTS}")
    numbers = [n for octant in counts for n in octant]
    if min(numbers) < 0 or sum(numbers) == 0:
        raise EngineError(f"counts of {min(numbers)} to {max(numbers)} voxels; expected 0 or more, and not all 0")
    if not 0.0 <= tolerance <= 1.0:
        raise EngineError(f"tolerance is {tolerance}; expected a share from 0 to 1")


def _check_text(name: str, text: str, pattern: re.Pattern[str], expected: str) -> None:
    if not pattern.fullmatch(text):
        raise EngineError(f"{name} is {text!r}; expected {expected}")
