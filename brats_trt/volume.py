"""One modality in memory: its voxels as stored, what gives them meaning, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from .device_array import DeviceArray
from .errors import CaseError
from .geometry import Affine

OriginKind = Literal["file", "image", "array", "device_array", "series"]


@dataclass(frozen=True, eq=False)
class Origin:
    """What a volume was handed over as.

    Attributes
    ----------
    kind
        "file", "image" of nibabel, "array", "device_array", which lies on a GPU, or "series" of DICOM files.
    file
        The file's path; None of what is none.
    index
        Along the fourth axis of a 4-D input; None of a volume by itself.
    affine
        (4, 4) float64 of an image; None of an array, and of a file, whose hash has it.
    sha256
        Of the file as it was read, where that was asked for; of a series, of its files' in increasing order.
    """

    kind: OriginKind
    file: Path | None = None
    index: int | None = None
    affine: Affine | None = None
    sha256: str | None = None


@dataclass(frozen=True, eq=False)
class Volume:
    """One modality as stored.

    Attributes
    ----------
    data
        (X, Y, Z) of any real dtype, byte order and memory order, on the host or on a GPU; never written to.
    slope, intercept
        A voxel's value is data * slope + intercept.
    source
        What errors call it.
    origin
        Where it comes from.
    """

    data: NDArray[Any] | DeviceArray
    slope: float
    intercept: float
    source: str
    origin: Origin = Origin("array")

    @property
    def on_host(self) -> NDArray[Any]:
        """`data`, for stages that run on the CPU.

        Raises
        ------
        CaseError
            If it lies on a GPU: nothing is copied quietly.
        """
        if isinstance(self.data, DeviceArray):
            raise CaseError(
                f"{self.source} lies on a GPU, but this segmenter runs on the CPU: copy it to the host, or use "
                "device='cuda'"
            )
        return self.data
