"""Each stage of the CUDA backend alone, on any device: the only module here that knows the backend's inner parts.

A stage gets what the ones before it would have left in device memory, so that its own answer is judged and no other's.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
from emulated_device import EmulatedDevice

from brats_trt import Spec
from brats_trt.backends import StageOptions
from brats_trt.backends.cuda_kernels import Kernels
from brats_trt.backends.cuda_memory import Memory, memory_order
from brats_trt.backends.cuda_placement import describe_placement
from brats_trt.case import Volume
from brats_trt.device_array import DeviceArray
from brats_trt.kernels import records
from brats_trt.spec import MODALITIES

MODALITY = 2  # that the volume under test takes: neither the first nor the last
FEW_BLOCKS = 32  # a lane merges a whole number of them
POISON = 0xA5
_BY_BLOCKS = ("foreground", "crop_moments", "align_moments", "plan", "plan_crop")
_DECLARED = "foreground_blocks = {}"


@dataclass
class SmallDevice(EmulatedDevice):
    """Runs sums with few blocks, since the production's 512 are idle on small heads and most of an emulator's work.

    `records.FOREGROUND_BLOCKS` must be patched with it.
    """

    blocks: int = FEW_BLOCKS

    def compile(self, source, kernel):
        if kernel in _BY_BLOCKS:
            declared = _DECLARED.format(512)
            assert source.count(declared) == 1
            source = source.replace(declared, _DECLARED.format(self.blocks))
        return super().compile(source, kernel)


@dataclass(frozen=True)
class Found:
    """What the foreground stage says of a modality."""

    box: tuple
    count: int
    mean: float
    variance: float
    nonfinite: int


@dataclass(frozen=True)
class Moments:
    """Of a foreground, as the stages after it are given them."""

    count: int
    mean: float
    variance: float
    box: tuple = field(default=((0, 0, 0), (3, 3, 3)))  # tight, before the last planes are lost


class Stages:
    """The stages of one backend, for volumes of one shape."""

    def __init__(self, device, shape, *, size=(2, 2, 2), batch=1, half=False, card=False):
        spec = Spec(normalisation="card" if card else "authors")
        engine = SimpleNamespace(size=size, half=half, spec=spec, precision="fp32", sha256="0" * 64)
        self.shape = shape
        self.batch = batch
        self.size = size
        self._device = device
        self._dtype = np.dtype(np.float16 if half else np.float32)
        self._card = card
        self._memory = Memory(device, engine, batch=batch, voxels=math.prod(shape))
        self._kernels = Kernels(device, self._memory, half=half, card=card)
        self._stream = device.stream()

    def foreground(self, data, *, slope=1.0, intercept=0.0):
        """The merged foreground of a volume; `data` lies on the host or is a `DeviceArray`."""
        volume = Volume(data, slope, intercept, "the case")
        self._describe(volume)
        self._put(data)
        memory = self._memory
        self._kernels.foreground(MODALITY, data.dtype, self._stream)
        parts = self._read(memory.parts_of(MODALITY), records.FOREGROUND, records.FOREGROUND_BLOCKS)
        for other in set(range(records.MODALITIES)) - {MODALITY}:
            self._device.write_at(memory.parts_of(other), parts)
        self._kernels.plan(self._stream)
        found = self._plan()["modality"]
        assert len({record.tobytes() for record in found}) == 1
        record = found[0]
        count = int(record["count"])
        corners = ("lower", "upper") if count else ()
        box = tuple(tuple(int(n) for n in record[corner]) for corner in corners) or ((0, 0, 0), (0, 0, 0))
        variance = float(record["squares"]) / count if count else 0.0
        return Found(box, count, float(record["mean"]), variance, int(record["nonfinite"]))

    def gather(self, data, moments, *, slope=1.0, intercept=0.0):
        """(batch, *size) float32: the channel that a volume of these moments gives; no other channel is written."""
        self._describe(Volume(data, slope, intercept, "the case"))
        self._put(data)
        self._assume(moments)
        if self._card:
            self._copy_volume_to_all()
            self._kernels.plan_crop([data.dtype] * records.MODALITIES, self._stream)
        self._kernels.gather(MODALITY, data, self._stream)
        return self._channel()

    def align(self, placement, box, moments):
        """(batch, *size) float32: the channel that a placed series gives; no other channel is written."""
        volume = placement.series[MODALITIES[MODALITY]].volume
        runs = self._describe_placement(placement, box)
        self._assume(moments)
        self._put(volume.data)
        if placement.mask is not None:
            with ThreadPoolExecutor(1) as copiers:
                self._memory.mask.upload(placement.mask.volume.data, copiers, self._stream)
        if self._card:
            self._copy_volume_to_all()
            self._kernels.plan_aligned([volume.data.dtype] * records.MODALITIES, self._stream)
        self._kernels.align(MODALITY, volume.data.dtype, runs[MODALITY], self._stream)
        return self._channel()

    def restore_on_target(self, softmax, placement, box, values):
        """The label map on the placement's own grid, and its counts."""
        self._describe_placement(placement, box, values)
        self._assume(Moments(2, 1.0, 1.0, (box.lower, tuple(n + 1 for n in box.upper))))
        self._device.write_at(self._memory.softmax.buffer.address, softmax.astype(self._dtype))
        self._kernels.plan_target(self._stream)
        self._kernels.restore((0, 1, 2), 27, self._stream)
        self._kernels.restore_on_target(math.prod(placement.target_shape), self._stream)
        plan = self._read(self._memory.target.plan.buffer.address, records.PLAN, 1)[0]
        dense = self._read(self._memory.target.labels.buffer.address, np.uint8, placement.target_shape[::-1])
        return dense.T, tuple(int(n) for n in plan["counts"])

    def scatter(self, softmax, box, like, *, values=(0, 1, 2, 4)):
        """The label map in the memory order of `like`, and its counts."""
        self._describe(Volume(like, 1.0, 0.0, "the case"), values=values)
        upper = tuple(n + 1 for n in box[1])
        self._assume(Moments(2, 1.0, 1.0, (box[0], upper)))
        self._device.write_at(self._memory.softmax.buffer.address, softmax.astype(self._dtype))
        self._kernels.restore(memory_order(like), math.prod(self.shape), self._stream)
        plan = self._plan()
        if plan["not_finite"]:
            return None, None
        return self._labels(memory_order(like)), tuple(int(n) for n in plan["counts"])

    def regions(self, labels, *, values=(0, 1, 2, 4), min_region=0.1):
        """The label map without its small regions, and the counts that are left."""
        self._describe(Volume(labels, 1.0, 0.0, "the case"), values=values, min_region=min_region)
        plan = np.zeros(1, records.PLAN)
        plan["counts"] = [(labels == value).sum() for value in values]
        self._device.write_at(self._memory.working.plan.buffer.address, plan)
        order = memory_order(labels)
        dense = np.ascontiguousarray(labels.transpose(tuple(reversed(order))))
        self._device.write_at(self._memory.working.labels.buffer.address, dense)
        self._kernels.drop_regions(self._memory.working, labels.size, self._stream, wanted=True)
        kept = self._read(self._memory.working.kept.buffer.address, np.uint64, records.CLASSES)
        return self._labels(order), tuple(int(n) for n in kept)

    def place(self, data):
        """The same voxels on the device with the same strides, as their owner would hand them over."""
        reach = [step * (n - 1) for step, n in zip(data.strides, data.shape, strict=True)]
        offset = -sum(min(step, 0) for step in reach)
        nbytes = offset + sum(max(step, 0) for step in reach) + data.itemsize
        # What lies between the voxels is foreground, so that a wrong stride shows.
        raw = np.ones(nbytes // data.itemsize, data.dtype).view(np.uint8)
        np.ndarray(data.shape, data.dtype, raw.data, offset, data.strides)[...] = data
        buffer = self._device.allocate(nbytes, "the caller's array")
        self._device.write_at(buffer.address, raw)
        return DeviceArray(buffer.address + offset, data.shape, data.strides, data.dtype, None, buffer, 0)

    def _channel(self):
        shape = (self.batch, records.MODALITIES, *self.size)
        raw = self._read(self._memory.input.address, np.uint8, math.prod(shape) * self._dtype.itemsize)
        crop = raw.view(self._dtype).reshape(shape)
        others = np.delete(raw.reshape(self.batch, records.MODALITIES, -1), MODALITY, axis=1)
        assert (others == POISON).all(), "other channels are not touched"
        return crop[:, MODALITY].astype(np.float32)

    def _describe_placement(self, placement, box, values=(0, 1, 2, 4)):
        self._describe(Volume(np.zeros((3, 3, 3), np.uint8, order="F"), 1.0, 0.0, "the working grid"), values=values)
        options = StageOptions(tta=self.batch == 2, min_region=0.0, label_values=values)
        runs = describe_placement(self._memory, placement, box, MODALITIES, options)
        self._memory.placement.upload(self._stream)
        self._memory.target.setup.upload(self._stream)
        return runs

    def _describe(self, volume, *, values=(0, 1, 2, 4), min_region=0.0):
        options = StageOptions(tta=self.batch == 2, min_region=min_region, label_values=values)
        self._memory.describe([(name, volume) for name in MODALITIES], memory_order(volume.data), options)
        self._memory.working.setup.upload(self._stream)

    def _put(self, data):
        slot = self._memory.volumes[MODALITY]
        if isinstance(data, DeviceArray):
            slot.take_in_place(data, self._stream)
            return
        with ThreadPoolExecutor(1) as copiers:
            slot.upload(data, copiers, self._stream)

    def _copy_volume_to_all(self):
        for slot in self._memory.volumes:
            slot.source = self._memory.volumes[MODALITY].source

    def _assume(self, moments):
        """Leave on the device what the foreground stage leaves, and have it planned."""
        parts = np.zeros(records.FOREGROUND_BLOCKS, records.FOREGROUND)
        parts["lower"], parts["upper"] = np.iinfo(np.int32).max, 0
        parts[1] = moments.count, moments.mean, moments.variance * moments.count, 0, *moments.box
        for modality in range(records.MODALITIES):
            self._device.write_at(self._memory.parts_of(modality), parts)
        self._kernels.plan(self._stream)
        assert int(self._plan()["status"]) == 0

    def _plan(self):
        return self._read(self._memory.working.plan.buffer.address, records.PLAN, 1)[0]

    def _labels(self, order):
        shape = tuple(self.shape[axis] for axis in reversed(order))
        dense = self._read(self._memory.working.labels.buffer.address, np.uint8, shape)
        return dense.transpose(np.argsort(tuple(reversed(order))))

    def _read(self, address, dtype, shape):
        self._device.synchronise(self._stream)
        return self._device.read_at(address, dtype, shape)
