"""All memory of a CUDA backend: device buffers with their pinned twins on the host, taken once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..device_array import DeviceArray
from ..geometry import Index3
from ..kernels import records
from ..spec import Modality
from . import StageOptions
from .device import Buffer, Device, DeviceEngine
from .placement import LARGEST_MASK

if TYPE_CHECKING:
    from ..case import Volume

Order = tuple[int, int, int]  # axes from the fastest to the slowest in memory
_LARGEST_VOXEL = 8  # bytes
_SLABS = 8  # that the staging of a volume is divided into


def memory_order(data: NDArray[Any] | DeviceArray) -> Order:
    """The axes of an array from the fastest to the slowest in memory."""
    fast, middle, slow = sorted(range(3), key=lambda axis: abs(data.strides[axis]))
    return (fast, middle, slow)


class Twin:
    """Device memory and pinned host memory of one size."""

    def __init__(self, device: Device, nbytes: int, name: str) -> None:
        self._device = device
        self.buffer: Buffer = device.allocate(nbytes, name)
        self.host: NDArray[np.uint8] = device.pinned(nbytes)

    def upload(self, stream: Any) -> None:
        """Copy all of the host's side to the device."""
        self._device.upload(self.buffer, self.host, stream)

    def download(self, stream: Any, nbytes: int | None = None) -> None:
        """Copy the first bytes of the device's side to the host; all of them by default."""
        self._device.download(self.host[:nbytes], self.buffer, stream)


class LabelMap:
    """One label map, with what the kernels are told about it and what they find out.

    Attributes
    ----------
    setup, plan
        The records of the kernels, see `common.cuh`.
    labels
        In the memory order that the setup names.
    kept
        Voxels of each class, once small regions are dropped.
    """

    def __init__(self, device: Device, voxels: int, *, prefix: str = "") -> None:
        self.setup = Twin(device, records.SETUP.itemsize, f"{prefix}setup")
        self.plan = Twin(device, records.PLAN.itemsize, f"{prefix}plan")
        self.labels = Twin(device, voxels, f"{prefix}labels")
        self.kept = Twin(device, records.CLASSES * 8, f"{prefix}kept")

    def describe(self, order: Order, size: Index3, batch: int, options: StageOptions) -> Any:
        """Fill the setup but for its volumes, of which the first one's shape is the label map's; give it back."""
        setup = self.setup.host.view(records.SETUP)[0]
        setup["size"] = size
        setup["batch"] = batch
        setup["label_axes"] = order
        setup["values"] = options.label_values
        setup["min_region"] = options.min_region
        return setup

    @property
    def found(self) -> Any:
        """The plan's record on the host."""
        return self.plan.host.view(records.PLAN)[0]

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Voxels of each class that are left, on the host."""
        a, b, c, d = (int(count) for count in self.kept.host.view(np.uint64))
        return (a, b, c, d)

    def read(self, shape: Index3, order: Order) -> NDArray[np.uint8]:
        """The labels of a download that is complete: fresh, in their memory order."""
        slow_first = tuple(reversed(order))
        labels = np.empty(tuple(shape[axis] for axis in slow_first), np.uint8)
        np.copyto(labels, self.labels.host[: labels.size].reshape(labels.shape))
        turned: NDArray[np.uint8] = labels.transpose(np.argsort(slow_first))
        return turned


class VolumeSlot:
    """Where one modality lies on the device: in memory of ours, or where its owner has it."""

    def __init__(self, device: Device, nbytes: int, name: str) -> None:
        self._device = device
        self._twin = Twin(device, nbytes, name)
        self.source: Buffer | int = self._twin.buffer  # of the kernels

    def upload(self, data: NDArray[Any], copiers: Executor, stream: Any) -> None:
        """Copy a volume through pinned memory, densely, in its own memory order and the device's byte order."""
        dense = data.transpose(tuple(reversed(memory_order(data))))
        native = data.dtype.newbyteorder("=")
        staged = self._twin.host[: data.size * native.itemsize]
        _copy_in_slabs(staged.view(native).reshape(dense.shape), dense, copiers)
        self._device.upload(self._twin.buffer, staged, stream)
        self.source = self._twin.buffer

    def take_in_place(self, data: DeviceArray, stream: Any) -> None:
        """Use a volume where it lies, once its owner's work on it is done; `stream` waits for that."""
        device = self._device
        if not data.order_behind_owner(device.handle(stream)) and data.stream is not None:
            written = device.event()
            device.record(written, device.foreign_stream(data.stream))
            device.wait(stream, written)
        self.source = data.address


def _copy_in_slabs(target: NDArray[Any], source: NDArray[Any], copiers: Executor) -> None:
    """Copy with all of the pool's threads: one alone is slower than the link to the device."""
    bounds = [len(source) * k // _SLABS for k in range(_SLABS + 1)]
    list(copiers.map(lambda a, b: np.copyto(target[a:b], source[a:b]), bounds[:-1], bounds[1:]))


class Memory:
    """Everything that a run reads and writes.

    Parameters
    ----------
    voxels
        Of the largest volume.

    Attributes
    ----------
    working
        The label map on the volumes' grid.
    target
        The one on a grid that a placement names.
    """

    def __init__(self, device: Device, engine: DeviceEngine, *, batch: int, voxels: int) -> None:
        crop = math.prod(engine.size)
        element = 2 if engine.half else 4
        self._device = device
        self._engine = engine
        self._entry_bytes = records.MODALITIES * crop * element
        self.batch = batch
        self.voxels = voxels
        self.volumes = [VolumeSlot(device, voxels * _LARGEST_VOXEL, f"volume {k}") for k in range(records.MODALITIES)]
        self.mask = VolumeSlot(device, LARGEST_MASK * 4, "mask")
        self.placement = Twin(device, records.PLACEMENT.itemsize, "placement")
        self.working = LabelMap(device, voxels)
        self.target = LabelMap(device, voxels, prefix="target ")
        self.parts = Twin(device, records.MODALITIES * records.FOREGROUND_BLOCKS * records.FOREGROUND.itemsize, "parts")
        self.gather_taps = device.allocate(records.TAPS_BYTES, "gather taps")
        self.scatter_taps = device.allocate(records.TAPS_BYTES, "scatter taps")
        self.input = device.allocate(batch * self._entry_bytes, "input")
        self.softmax = Twin(device, batch * self._entry_bytes, "softmax")
        self.probabilities = device.allocate(crop * records.CLASSES * 4, "probabilities")
        self.parents = device.allocate(voxels * 4, "parents")
        self.sizes = device.allocate(voxels * 4, "sizes")

    @property
    def size(self) -> tuple[int, int, int]:
        """Voxels of the crop along x, y and z."""
        return self._engine.size

    def entries(self) -> Iterator[tuple[int, int]]:
        """Addresses of the network's input and output, a batch entry at a time."""
        for entry in range(self.batch):
            offset = entry * self._entry_bytes
            yield self.input.address + offset, self.softmax.buffer.address + offset

    def parts_of(self, modality: int) -> int:
        """Address of a modality's parts of a sum."""
        return self.parts.buffer.address + modality * records.FOREGROUND_BLOCKS * records.FOREGROUND.itemsize

    def describe(self, volumes: Sequence[tuple[Modality, Volume]], order: Order, options: StageOptions) -> None:
        """Fill the setup record for a case whose label map has the given memory order."""
        setup = self.working.describe(order, self.size, self.batch, options)
        for layout, (_, volume) in zip(setup["modality"], volumes, strict=True):
            describe_layout(layout, volume)

    def read_softmax(self) -> NDArray[np.float32]:
        """(batch, 4, D, H, W) float32, fresh, of a download that is complete."""
        dtype = np.float16 if self._engine.half else np.float32
        shape = (self.batch, records.CLASSES, *self.size)
        return self.softmax.host.view(dtype).reshape(shape).astype(np.float32)


def describe_layout(layout: Any, volume: Volume) -> None:
    """Of a volume where it lies on the device: as its owner has it, or dense in its own memory order."""
    data = volume.data
    order = memory_order(data)
    if isinstance(data, DeviceArray):
        layout["strides"] = data.strides
    else:
        stride = data.dtype.itemsize
        for axis in order:
            layout["strides"][axis] = stride
            stride *= data.shape[axis]
    layout["shape"] = data.shape
    layout["axes"] = order
    layout["slope"] = volume.slope
    layout["intercept"] = volume.intercept
