"""How each kernel is launched: its grid, its block and its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..device_array import DeviceArray
from ..errors import CaseError
from ..kernels import STORED_TYPES, kernel_source, records
from .cuda_memory import LabelMap, Memory, Order, memory_order
from .device import Device, Dim3

_TILE = 32
_TILE_BLOCK = (32, 8, 1)
_LINE_BLOCK = (256, 1, 1)
_VOXELS_PER_BLOCK = 4096  # of scatter and restore
_REGION_VOXELS_PER_THREAD = 8


class Kernels:
    """The kernels of one backend, each compiled at its first use and kept."""

    def __init__(self, device: Device, memory: Memory, *, half: bool, card: bool) -> None:
        self._device = device
        self._memory = memory
        self._half = half
        self._card = card
        self._by_dtype: dict[tuple[str, str], Any] = {}

    @cached_property
    def _plan(self) -> Any:
        return self._device.compile(kernel_source("plan"), "plan")

    @cached_property
    def _plan_crop(self) -> Any:
        return self._device.compile(kernel_source("plan"), "plan_crop")

    @cached_property
    def _interleave(self) -> Any:
        return self._device.compile(kernel_source("interleave", half=self._half), "interleave")

    @cached_property
    def _scatter(self) -> Any:
        return self._device.compile(kernel_source("scatter"), "scatter")

    @cached_property
    def _restore(self) -> Any:
        return self._device.compile(kernel_source("restore"), "restore")

    @cached_property
    def _regions(self) -> dict[str, Any]:
        source = kernel_source("regions")
        names = ("regions_start", "regions_join", "regions_measure", "regions_drop")
        return {name: self._device.compile(source, name) for name in names}

    def _for_dtype(self, kernel: str, dtype: np.dtype[Any]) -> Any:
        if dtype.name not in STORED_TYPES:
            raise CaseError(f"voxels of {dtype.name} do not run on the device; convert them to float64 or smaller")
        key = (kernel, dtype.name)
        if key not in self._by_dtype:
            fills = kernel in ("gather", "align")
            source = kernel_source(
                kernel, stored=dtype.name, half=self._half and fills, card=self._card and kernel != "foreground"
            )
            self._by_dtype[key] = self._device.compile(source, kernel)
        return self._by_dtype[key]

    def foreground(self, modality: int, dtype: np.dtype[Any], stream: Any) -> None:
        """Queue the foreground pass over one modality."""
        memory = self._memory
        arguments = [
            memory.volumes[modality].source,
            memory.working.setup.buffer,
            np.int32(modality),
            memory.parts_of(modality),
        ]
        grid = (records.FOREGROUND_BLOCKS, 1, 1)
        self._device.launch(self._for_dtype("foreground", dtype), grid, _LINE_BLOCK, arguments, stream)

    def plan(self, stream: Any) -> None:
        """Queue the merge of the foregrounds' parts into box, moments and taps."""
        memory = self._memory
        arguments = [
            memory.working.setup.buffer,
            memory.parts.buffer,
            memory.working.plan.buffer,
            memory.gather_taps,
            memory.scatter_taps,
        ]
        self._device.launch(self._plan, (1, 1, 1), (128, 1, 1), arguments, stream)

    def plan_crop(self, dtypes: Sequence[np.dtype[Any]], stream: Any) -> None:
        """Queue what the card's normalisation needs to know: the moments of each resampled crop."""
        memory = self._memory
        given = [memory.working.setup.buffer, memory.working.plan.buffer, memory.gather_taps]
        for modality, dtype in enumerate(dtypes):
            self._tally("crop_moments", modality, dtype, given, stream)
        self._launch_plan_crop(stream)

    def plan_aligned(self, dtypes: Sequence[np.dtype[Any]], stream: Any) -> None:
        """The same of series that `align` takes."""
        for modality, dtype in enumerate(dtypes):
            self._tally("align_moments", modality, dtype, self._placed, stream)
        self._launch_plan_crop(stream)

    def plan_target(self, stream: Any) -> None:
        """Queue what the target's label map begins with: the case's plan, in which nothing is counted yet."""
        working, target = self._memory.working.plan.buffer, self._memory.target.plan.buffer
        self._device.copy(target, working.address, working.nbytes, stream)

    @property
    def _placed(self) -> list[Any]:
        """Arguments of the kernels that sample a series by its placement."""
        memory = self._memory
        return [memory.mask.source, memory.working.setup.buffer, memory.placement.buffer, memory.working.plan.buffer]

    def _tally(self, name: str, modality: int, dtype: np.dtype[Any], given: Sequence[Any], stream: Any) -> None:
        memory = self._memory
        arguments = [memory.volumes[modality].source, *given, np.int32(modality), memory.parts_of(modality)]
        grid = (records.FOREGROUND_BLOCKS, 1, 1)
        self._device.launch(self._for_dtype(name, dtype), grid, _LINE_BLOCK, arguments, stream)

    def _launch_plan_crop(self, stream: Any) -> None:
        arguments = [self._memory.parts.buffer, self._memory.working.plan.buffer]
        self._device.launch(self._plan_crop, (1, 1, 1), (128, 1, 1), arguments, stream)

    def gather(self, modality: int, data: NDArray[Any] | DeviceArray, stream: Any) -> None:
        """Queue crop, normalisation and resampling of one modality."""
        memory = self._memory
        given = [memory.working.setup.buffer, memory.working.plan.buffer, memory.gather_taps]
        self._sample("gather", modality, data.dtype, memory_order(data)[0], given, stream)

    def align(self, modality: int, dtype: np.dtype[Any], run: int, stream: Any) -> None:
        """Queue the same of a series on a grid of its own, whose memory runs along this axis of the crop."""
        self._sample("align", modality, dtype, run, self._placed, stream)

    def _sample(
        self, name: str, modality: int, dtype: np.dtype[Any], fast: int, given: Sequence[Any], stream: Any
    ) -> None:
        memory = self._memory
        other = 1 if fast == 2 else 2
        size = memory.size
        grid = (_tiles(size[fast]), _tiles(size[other]), size[3 - fast - other])
        arguments = [memory.volumes[modality].source, *given, np.int32(modality), memory.input]
        self._device.launch(self._for_dtype(name, dtype), grid, _TILE_BLOCK, arguments, stream)

    def restore(self, order: Order, voxels: int, stream: Any) -> None:
        """Queue the way from probabilities to the label map on the volumes' grid."""
        memory = self._memory
        setup, plan = memory.working.setup.buffer, memory.working.plan.buffer
        other = 1 if order[0] == 2 else order[0]
        size = memory.size
        grid = (_tiles(size[2]), _tiles(size[other]), size[1 - other])
        arguments = [memory.softmax.buffer, setup, plan, memory.probabilities]
        self._device.launch(self._interleave, grid, _TILE_BLOCK, arguments, stream)
        arguments = [memory.probabilities, setup, plan, memory.scatter_taps, memory.working.labels.buffer]
        self._device.launch(self._scatter, _label_blocks(voxels), _LINE_BLOCK, arguments, stream)

    def restore_on_target(self, voxels: int, stream: Any) -> None:
        """Queue the way from the same probabilities to the target's label map; `restore` goes before."""
        memory = self._memory
        working, target = memory.working, memory.target
        arguments = [
            memory.probabilities,
            working.setup.buffer,
            memory.placement.buffer,
            target.setup.buffer,
            target.plan.buffer,
            target.labels.buffer,
        ]
        self._device.launch(self._restore, _label_blocks(voxels), _LINE_BLOCK, arguments, stream)

    def drop_regions(self, labelled: LabelMap, voxels: int, stream: Any, *, wanted: bool) -> None:
        """Queue the rejection of small regions; `kept` becomes the voxels of each class that are left."""
        memory = self._memory
        counts = labelled.plan.buffer.address + records.PLAN.fields["counts"][1]  # type: ignore[index]
        self._device.copy(labelled.kept.buffer, counts, labelled.kept.buffer.nbytes, stream)
        if not wanted:
            return
        grid = (-(-voxels // (_LINE_BLOCK[0] * _REGION_VOXELS_PER_THREAD)), 1, 1)
        given = [labelled.labels.buffer, labelled.setup.buffer, labelled.plan.buffer]
        arguments = {
            "regions_start": [*given, memory.parents, memory.sizes],
            "regions_join": [*given, memory.parents],
            "regions_measure": [*given, memory.parents, memory.sizes],
            "regions_drop": [*given, memory.parents, memory.sizes, labelled.kept.buffer],
        }
        for name, kernel in self._regions.items():
            self._device.launch(kernel, grid, _LINE_BLOCK, arguments[name], stream)


def _label_blocks(voxels: int) -> Dim3:
    return (-(-voxels // _VOXELS_PER_BLOCK), 1, 1)


def _tiles(samples: int) -> int:
    return -(-samples // _TILE)
