"""The stages on the CPU, in C++, around a network."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from .. import _host
from ..confidence import Calibration
from ..errors import CaseError, EngineError
from ..geometry import Box, without_last_plane
from ..spec import Modality, Spec
from ..stopwatch import Stopwatch
from . import Outcome, StageOptions
from .cpu_engine import CpuEngine
from .foreground import common_box, inspect
from .placement import Placement
from .regions import Counts, drop_small_regions

if TYPE_CHECKING:
    from ..case import Volume

Volumes = Sequence[tuple[Modality, "Volume"]]


class CpuBackend:
    """Runs one case at a time; calls from other threads wait."""

    device = "cpu"
    gpu = None
    plan = None

    def __init__(self, engine: CpuEngine, options: StageOptions, *, threads: int | None = None) -> None:
        self._engine = engine
        self._options = options
        self._threads = threads or 0
        self._crop = np.zeros((2 if options.tta else 1, 4, *engine.model.size), np.float32)
        self._lock = threading.Lock()

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
        return self._engine.model.spec

    @property
    def calibration(self) -> Calibration | None:
        """What the scores of its softmax mean, where the model says so."""
        return self._engine.model.calibration

    @property
    def model_sha256(self) -> str:
        """Of the model file."""
        return self._engine.model.sha256

    def run(self, volumes: Volumes, placement: Placement | None = None) -> Outcome:
        """Segment volumes of one grid, by modality; those that the spec has besides are left out of the network.

        With a placement, the network gets samples of the series that the volumes were made of, and the labels lie on
        the grid that it names; classes are counted on the volumes' own grid.

        Raises
        ------
        CaseError
            If a volume has no foreground, a constant one, or the head is flat on an axis.
        EngineError
            If the network gives values that are not finite.
        """
        with self._lock:
            watch = Stopwatch()
            absent = self._absent(volumes)
            box, warnings = self._prepare(volumes, absent, placement)
            watch.lap("prepare")
            softmax = self._infer(absent)
            watch.lap("infer")
            restored = [self._restore(softmax, box, volumes[0][1])]
            if placement is not None:
                restored.append(self._restore_elsewhere(softmax, box, placement))
            watch.lap("restore")
            counts, *_ = [self._drop_small_regions(*each) for each in restored]
            labels = restored[-1][0]
            watch.lap("regions")
        kept = softmax if self._options.keep_probabilities else None
        return Outcome(labels, counts, kept, box, watch.laps_ms, warnings)

    def _absent(self, volumes: Volumes) -> list[int]:
        """The channels that there is no volume for."""
        given = {modality for modality, _ in volumes}
        return [channel for channel, modality in enumerate(self.spec.modalities) if modality not in given]

    def _prepare(self, volumes: Volumes, absent: list[int], placement: Placement | None) -> tuple[Box, tuple[str, ...]]:
        foregrounds = [
            _host.foreground(volume.on_host, slope=volume.slope, intercept=volume.intercept, threads=self._threads)
            for _, volume in volumes
        ]
        warnings = inspect(volumes, foregrounds)
        box = without_last_plane(common_box(volumes, foregrounds))
        for (modality, volume), foreground in zip(volumes, foregrounds, strict=True):
            channel = self.spec.modalities.index(modality)
            if placement is None:
                self._gather(channel, volume, foreground, box)
            else:
                self._gather_elsewhere(channel, placement, foreground, box)
        self._crop[:, absent] = 0.0
        return box, warnings

    def _gather_elsewhere(self, channel: int, placement: Placement, foreground: _host.Foreground, box: Box) -> None:
        placement.gather(
            self._crop[0, channel],
            box,
            self.spec.modalities[channel],
            mean=foreground.mean,
            variance=foreground.variance,
            normalisation=self.spec.normalisation,
            threads=self._threads,
        )
        for mirrored in self._crop[1:, channel]:
            mirrored[...] = self._crop[0, channel, :, ::-1]

    def _gather(self, channel: int, volume: Volume, foreground: _host.Foreground, box: Box) -> None:
        try:
            _host.gather(
                volume.on_host,
                (box.lower, box.upper),
                self._crop,
                channel,
                mean=foreground.mean,
                variance=foreground.variance,
                normalisation=self.spec.normalisation,
                slope=volume.slope,
                intercept=volume.intercept,
                threads=self._threads,
            )
        except ValueError as fault:
            raise CaseError(f"{volume.source}: {fault}; expected a head: look at the volume") from None

    def _infer(self, absent: list[int]) -> NDArray[np.float32]:
        softmax = np.empty_like(self._crop)
        for entry in range(len(softmax)):
            self._engine.infer(self._crop[entry : entry + 1], softmax[entry : entry + 1], absent)
        return softmax

    def _drop_small_regions(self, labels: NDArray[np.uint8], counts: Counts, tumour: Box) -> Counts:
        options = self._options
        return drop_small_regions(
            labels, counts, tumour, min_region=options.min_region, label_values=options.label_values
        )

    def _restore_elsewhere(
        self, softmax: NDArray[np.float32], box: Box, placement: Placement
    ) -> tuple[NDArray[np.uint8], Counts, Box]:
        labels = np.empty(placement.target_shape, np.uint8, order="F")
        values = self._options.label_values
        return labels, *placement.restore(softmax, box, labels, values=values, threads=self._threads)

    def _restore(self, softmax: NDArray[np.float32], box: Box, like: Volume) -> tuple[NDArray[np.uint8], Counts, Box]:
        order: Literal["C", "F"] = "C" if like.on_host.flags.c_contiguous else "F"
        labels = np.empty(like.data.shape, np.uint8, order=order)
        try:
            counts, tumour = _host.scatter(
                softmax, (box.lower, box.upper), labels, values=self._options.label_values, threads=self._threads
            )
        except _host.NotFiniteError as fault:
            raise EngineError(
                f"{self._engine.model.path}: {fault}; run in precision='fp32', or convert the model again"
            ) from None
        return labels, counts, Box(*tumour)
