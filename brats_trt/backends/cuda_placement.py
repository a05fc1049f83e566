"""Series on grids of their own, as the kernels are told of them.

The host knows their foregrounds before they are uploaded, from the working grid; so it knows the box too, and every map
from the network's input to a series is made here, in float64, as for the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import CaseError
from ..geometry import Box, Index3
from ..kernels import records
from ..spec import Modality
from ..volume import Volume
from . import StageOptions
from .cuda_memory import Memory, describe_layout
from .foreground import Foreground
from .placement import LARGEST_MASK, Placement

TARGET_ORDER: Index3 = (0, 1, 2)  # of the labels' memory, from the fastest axis


def placed_volumes(placement: Placement, modalities: Sequence[Modality]) -> list[tuple[Modality, Volume]]:
    """The series themselves, in the network's order."""
    return [(modality, placement.series[modality].volume) for modality in modalities]


def check_placement(placement: Placement, voxels: int) -> None:
    """Refuse what no memory was taken for.

    Raises
    ------
    CaseError
        If the label map or the mask has more voxels, or the mask is not what the kernels read: float32, unscaled.
    """
    wanted = int(np.prod(placement.target_shape, dtype=np.int64))
    if wanted > voxels:
        raise CaseError(
            f"the labels are to come on a grid of {wanted} voxels, but memory was taken for {voxels}: state a larger "
            "shape, or choose another series' grid"
        )
    if placement.mask is None:
        return
    mask = placement.mask.volume
    if mask.data.size > LARGEST_MASK:
        raise CaseError(
            f"the brain's mask has {mask.data.size} voxels; expected up to {LARGEST_MASK}: give it on a coarser grid"
        )
    if mask.data.dtype != np.float32 or (mask.slope, mask.intercept) != (1.0, 0.0):
        raise CaseError(f"the brain's mask is of {mask.data.dtype}; expected shares as they are, in native float32")


def describe_foregrounds(memory: Memory, foregrounds: Sequence[Foreground]) -> None:
    """Leave in the parts what the foreground kernel would: all of a modality in its first part."""
    parts = memory.parts.host.view(records.FOREGROUND).reshape(records.MODALITIES, -1)
    parts[...] = np.zeros((), records.FOREGROUND)
    parts["lower"] = np.iinfo(np.int32).max
    for part, found in zip(parts[:, 0], foregrounds, strict=True):
        part["count"] = found.count
        part["mean"] = found.mean
        part["squares"] = found.variance * found.count
        part["nonfinite"] = found.nonfinite
        if found.count:
            part["lower"], part["upper"] = found.box


def describe_placement(
    memory: Memory, placement: Placement, box: Box, modalities: Sequence[Modality], options: StageOptions
) -> tuple[int, ...]:
    """Fill the records of the placement and of the target's label map.

    Returns
    -------
    For each modality the axis of the crop along which the memory of its series runs most.
    """
    record = memory.placement.host.view(records.PLACEMENT)[0]
    for k, modality in enumerate(modalities):
        layout = record["series"][k]
        describe_layout(layout, placement.series[modality].volume)
        record["to_series"][k] = placement.to_series(modality, box, memory.size)
        record["run"][k] = np.abs(record["to_series"][k][int(layout["axes"][0]), :3]).argmax()
    record["masked"] = placement.mask is not None
    if placement.mask is not None:
        describe_layout(record["mask"], placement.mask.volume)
        record["to_mask"] = placement.to_mask(box, memory.size)
    record["to_crop"] = placement.to_crop(box, memory.size)
    setup = memory.target.describe(TARGET_ORDER, memory.size, memory.batch, options)
    setup["modality"]["shape"] = placement.target_shape
    return tuple(int(axis) for axis in record["run"])
