"""The stages on a CUDA device. Between the first upload and the label map's download nothing waits for the host.

All memory is taken in the constructor, for a stated largest shape; a run takes none. What the device finds out about a
case (box, moments, faults, counts) stays there until the label map comes back, and is judged then.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import _host
from ..confidence import Calibration
from ..device_array import DeviceArray
from ..errors import CaseError, EngineError
from ..geometry import Box, without_last_plane
from ..kernels import records
from ..spec import Modality, Spec
from . import Outcome, PlanIdentity, StageOptions
from .cuda_kernels import Kernels
from .cuda_memory import Memory, memory_order
from .cuda_placement import (
    TARGET_ORDER,
    check_placement,
    describe_foregrounds,
    describe_placement,
    placed_volumes,
)
from .device import Device, DeviceEngine
from .foreground import common_box, inspect

if TYPE_CHECKING:
    from ..case import Volume
    from .placement import Placement

Volumes = Sequence[tuple[Modality, "Volume"]]
LARGEST_SHAPE = (256, 256, 256)
_COPIERS = min(4, os.cpu_count() or 1)
_CROP_CONSTANT, _CROP_FAINT = 15, 19  # first bits of the faults in common.cuh
_STAGES = ("prepare", "infer", "restore", "regions")


class CudaBackend:
    """Runs one case at a time on one device; calls from other threads wait. Backends share a device and nothing else.

    Parameters
    ----------
    largest_shape
        Memory is taken for volumes of up to this many voxels, of up to eight bytes each.
    plan
        What the engine was made of, for records.

    Raises
    ------
    EngineError
        If the device has too little memory, or the network's crop has more than 1024 voxels along an axis.
    """

    device = "cuda"

    def __init__(
        self,
        device: Device,
        engine: DeviceEngine,
        options: StageOptions,
        *,
        largest_shape: tuple[int, int, int] = LARGEST_SHAPE,
        plan: PlanIdentity | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        if max(engine.size) > records.LONGEST_AXIS:
            raise EngineError(
                f"the network's crop is {engine.size}; the kernels take up to {records.LONGEST_AXIS} voxels an axis: "
                "use device='cpu'"
            )
        self.plan = plan
        self.calibration = calibration
        self._device = device
        self._engine = engine
        self._copiers = ThreadPoolExecutor(_COPIERS, "brats_trt-upload")
        self._options = options
        self._card = engine.spec.normalisation == "card"
        self._memory = Memory(device, engine, batch=2 if options.tta else 1, voxels=math.prod(largest_shape))
        self._kernels = Kernels(device, self._memory, half=engine.half, card=self._card)
        self._copies, self._work = device.stream(), device.stream()
        self._uploaded = [device.event() for _ in range(records.MODALITIES)]
        self._marks = [device.event() for _ in range(len(_STAGES) + 1)]
        self._lock = threading.Lock()

    @property
    def gpu(self) -> Device:
        """The device."""
        return self._device

    @property
    def runtime(self) -> str:
        """What computes the network."""
        return self._engine.runtime

    @property
    def precision(self) -> str:
        """What the network computes in."""
        return self._engine.precision

    @property
    def spec(self) -> Spec:
        """What the network expects of its input."""
        spec: Spec = self._engine.spec
        return spec

    @property
    def model_sha256(self) -> str:
        """Of the model file."""
        return self._engine.sha256

    def run(self, volumes: Volumes, placement: Placement | None = None) -> Outcome:
        """Segment four volumes of one grid, in the spec's order.

        With a placement, the network gets samples of the series that the volumes were made of, and the labels lie on
        the grid that it names; classes are counted on the volumes' own grid. The volumes stay on the host then.

        Raises
        ------
        CaseError
            If a volume is longer than 1024 voxels or larger than the memory taken, has no foreground or a constant
            one, or the head is flat; with the card's normalisation also where intensities deviate by less than 2^-100.
        EngineError
            If the network gives values that are not finite.
        """
        with self._lock, self._device.current():
            self._check(volumes, placement)
            x, y, z = volumes[0][1].data.shape
            order = memory_order(volumes[0][1].data)
            self._queue(volumes, order, placement)
            memory = self._memory
            self._device.synchronise(self._work)
            warnings, box = self._judge(volumes, memory.working.found)
            if placement is None:
                labels = memory.working.read((x, y, z), order)
            else:
                labels = memory.target.read(placement.target_shape, TARGET_ORDER)
            softmax = self._finish_softmax()
        timings = {
            stage: self._device.elapsed_ms(first, last)
            for stage, first, last in zip(_STAGES, self._marks[:-1], self._marks[1:], strict=True)
        }
        return Outcome(labels, memory.working.counts, softmax, box, timings, warnings)

    def _queue(self, volumes: Volumes, order: tuple[int, int, int], placement: Placement | None) -> None:
        """Queue everything from the first upload to the last download."""
        device, memory, kernels = self._device, self._memory, self._kernels
        device.record(self._marks[0], self._work)
        memory.describe(volumes, order, self._options)
        memory.working.setup.upload(self._work)
        if placement is None:
            self._sample(volumes)
        else:
            self._sample_series(volumes, placement)
        device.record(self._marks[1], self._work)
        for source, target in memory.entries():
            self._engine.enqueue(source, target, self._work)
        device.record(self._marks[2], self._work)
        grids = [(memory.working, math.prod(volumes[0][1].data.shape))]
        kernels.restore(order, grids[0][1], self._work)
        if placement is not None:
            grids.append((memory.target, math.prod(placement.target_shape)))
            kernels.restore_on_target(grids[1][1], self._work)
        device.record(self._marks[3], self._work)
        for labelled, voxels in grids:
            kernels.drop_regions(labelled, voxels, self._work, wanted=self._options.min_region > 0)
        wanted, voxels = grids[-1]
        wanted.labels.download(self._work, voxels)
        memory.working.plan.download(self._work)
        memory.working.kept.download(self._work)
        device.record(self._marks[4], self._work)
        if self._options.keep_probabilities:
            device.wait(self._copies, self._marks[4])
            memory.softmax.download(self._copies)

    def _sample(self, volumes: Volumes) -> None:
        """Queue the network's input from volumes of one grid."""
        kernels = self._kernels
        for k, (_, volume) in enumerate(volumes):
            self._place(k, volume)
            kernels.foreground(k, volume.data.dtype, self._work)
        kernels.plan(self._work)
        if self._card:
            kernels.plan_crop([volume.data.dtype for _, volume in volumes], self._work)
        for k, (_, volume) in enumerate(volumes):
            kernels.gather(k, volume.data, self._work)

    def _sample_series(self, volumes: Volumes, placement: Placement) -> None:
        """Queue the network's input from series on their own grids, whose foregrounds the host finds."""
        memory, kernels = self._memory, self._kernels
        foregrounds = [
            _host.foreground(volume.on_host, slope=volume.slope, intercept=volume.intercept) for _, volume in volumes
        ]
        inspect(volumes, foregrounds)
        box = without_last_plane(common_box(volumes, foregrounds))
        modalities = [modality for modality, _ in volumes]
        describe_foregrounds(memory, foregrounds)
        memory.parts.upload(self._work)
        runs = describe_placement(memory, placement, box, modalities, self._options)
        memory.placement.upload(self._work)
        memory.target.setup.upload(self._work)
        kernels.plan(self._work)
        if placement.mask is not None:
            memory.mask.upload(placement.mask.volume.on_host, self._copiers, self._work)
        series = placed_volumes(placement, modalities)
        for k, (_, volume) in enumerate(series):
            self._place(k, volume)
        if self._card:
            kernels.plan_aligned([volume.data.dtype for _, volume in series], self._work)
        kernels.plan_target(self._work)
        for k, (_, volume) in enumerate(series):
            kernels.align(k, volume.data.dtype, runs[k], self._work)

    def _place(self, k: int, volume: Volume) -> None:
        """Have the work wait until modality k lies on the device; the next one's upload goes on beside it."""
        slot = self._memory.volumes[k]
        if isinstance(volume.data, DeviceArray):
            slot.take_in_place(volume.data, self._work)
            return
        slot.upload(volume.data, self._copiers, self._copies)
        self._device.record(self._uploaded[k], self._copies)
        self._device.wait(self._work, self._uploaded[k])

    def _finish_softmax(self) -> NDArray[np.float32] | None:
        if not self._options.keep_probabilities:
            return None
        self._device.synchronise(self._copies)
        return self._memory.read_softmax()

    def _check(self, volumes: Volumes, placement: Placement | None) -> None:
        uploaded = list(volumes)
        if placement is not None:
            check_placement(placement, self._memory.voxels)
            uploaded += placed_volumes(placement, [modality for modality, _ in volumes])
        for modality, volume in uploaded:
            device = volume.data.device if isinstance(volume.data, DeviceArray) else None
            if device not in (None, self._device.index):
                raise CaseError(
                    f"{volume.source}: {modality} lies on GPU {device}, but this segmenter runs on GPU "
                    f"{self._device.index}: copy it there"
                )
            if max(volume.data.shape) > records.LONGEST_AXIS:
                raise CaseError(
                    f"{volume.source}: {modality} has the shape {volume.data.shape}; the kernels take up to "
                    f"{records.LONGEST_AXIS} voxels an axis: crop the volume, or use device='cpu'"
                )
            voxels = volume.data.size
            if voxels > self._memory.voxels or volume.data.dtype.itemsize > 8:
                raise CaseError(
                    f"{volume.source}: {modality} has {voxels} voxels of {volume.data.dtype}, but memory was taken for "
                    f"{self._memory.voxels} of at most 8 bytes: state a larger shape, or crop the volume"
                )

    def _judge(self, volumes: Volumes, plan: Any) -> tuple[tuple[str, ...], Box]:
        """Raise what the device found, in the words of the CPU backend."""
        found = [_foreground_of(record) for record in plan["modality"]]
        warnings = inspect(volumes, found)
        common_box(volumes, found)
        if int(plan["not_finite"]):
            raise EngineError(
                "the network gave probabilities that are not finite; build the engine in fp32, or convert it again"
            )
        for k, (modality, volume) in enumerate(volumes):
            if int(plan["status"]) >> (_CROP_CONSTANT + k) & 1:
                raise CaseError(f"{volume.source}: the foreground is constant; expected a head: look at the volume")
            if int(plan["status"]) >> (_CROP_FAINT + k) & 1:
                raise CaseError(
                    f"{volume.source}: the intensities of {modality} differ by less than a GPU's float32 keeps apart "
                    f"(mean {found[k].mean:g}); expected scanner units: export the series again, or use device='cpu'"
                )
        if int(plan["status"]):
            raise EngineError(f"the device reported the status {int(plan['status']):#x} that the host does not know")
        lower = [int(n) for n in plan["lower"]]
        upper = [int(n) + int(extent) for n, extent in zip(plan["lower"], plan["extent"], strict=True)]
        return warnings, Box((lower[0], lower[1], lower[2]), (upper[0], upper[1], upper[2]))


def _foreground_of(record: Any) -> Any:
    count = int(record["count"])
    corners = ("lower", "upper") if count else ()
    box = tuple(tuple(int(n) for n in record[corner]) for corner in corners) or ((0, 0, 0), (0, 0, 0))
    variance = float(record["squares"]) / count if count else 0.0
    nonfinite = int(record["nonfinite"])
    return SimpleNamespace(box=box, count=count, mean=float(record["mean"]), variance=variance, nonfinite=nonfinite)
