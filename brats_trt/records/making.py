"""From a finished run to its record."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from .. import _host
from ..spec import Modality, Spec
from .hashing import array_sha256
from .inputs import file_name
from .parts import (
    GridRecord,
    InputRecord,
    MapRecord,
    ModelRecord,
    MotionRecord,
    OptionsRecord,
    PlanRecord,
    ProbabilitiesRecord,
    RawRecord,
    Rows,
    RuntimeRecord,
    VersionsRecord,
    VolumesRecord,
)
from .record import DATE, RunRecord

if TYPE_CHECKING:
    from ..backends import Backend
    from ..raw.preparation import Account
    from ..segmentation import Segmentation
    from ..volume import Volume

_DIGITS = 3  # of a millisecond


@dataclass(frozen=True)
class Provenance:
    """What a result does not say of itself.

    Attributes
    ----------
    names
        What the record writes for each source that a warning may name by its path.
    """

    inputs: tuple[InputRecord, ...]
    names: Mapping[str, str]
    model: ModelRecord
    spec: Spec
    options: OptionsRecord
    runtime: RuntimeRecord
    versions: VersionsRecord
    date: str


def provenance(
    backend: Backend,
    volumes: Mapping[Modality, Volume],
    inputs: tuple[InputRecord, ...],
    options: OptionsRecord,
    *,
    threads: int | None,
) -> Provenance:
    """What is to be kept of a run that has just ended."""
    plan = backend.plan
    if plan is None:
        model = ModelRecord(backend.model_sha256, None)
    else:
        model = ModelRecord(plan.onnx_sha256, PlanRecord(plan.sha256, plan.flavour, plan.library_version))
    return Provenance(
        inputs=inputs,
        names=_names(volumes),
        model=model,
        spec=backend.spec,
        options=options,
        runtime=RuntimeRecord(
            backend.runtime,
            cast(Any, backend.device),
            backend.precision,
            threads or _host.usable_cores(),
            _host.instruction_set,
        ),
        versions=_versions(),
        date=datetime.now(timezone.utc).strftime(DATE),
    )


def make_record(result: Segmentation, known: Provenance) -> RunRecord:
    """The record of a result."""
    return RunRecord(
        software=f"brats_trt {known.versions.brats_trt}",
        date=known.date,
        inputs=known.inputs,
        masked=result.masked,
        grid=_grid(result.labels.shape, result.affine),
        model=known.model,
        spec=known.spec,
        options=known.options,
        runtime=known.runtime,
        versions=known.versions,
        timings_ms={stage: round(milliseconds, _DIGITS) for stage, milliseconds in result.timings_ms.items()},
        warnings=portable_warnings(result, known),
        volumes_ml=VolumesRecord(**result.volumes_ml),
        labels_sha256=array_sha256(result.labels),
        raw=None if result.raw is None else _raw(result.raw),
    )


def _raw(account: Account) -> RawRecord:
    options, grid = account.options, account.grid
    motions = tuple(
        MotionRecord(modality, round(motion.shift_mm, _DIGITS), round(motion.angle_deg, _DIGITS))
        for modality, motion in account.motions.items()
    )
    working = _grid(grid.shape, grid.affine)
    return RawRecord(options.align, options.strip, options.grid, account.stripped, working, motions)


def portable_warnings(result: Segmentation, known: Provenance) -> tuple[str, ...]:
    """The warnings without folders, of which one may be what the case is called."""
    return tuple(_without_folders(text.removeprefix(f"{result.name}: "), known.names) for text in result.warnings)


def with_probabilities(record: RunRecord, data: NDArray[np.float32], affine: NDArray[np.float64]) -> RunRecord:
    """The record that goes into a probability map; `data` is (D, H, W, 4), as the file has it."""
    d, h, w, classes = data.shape
    return replace(record, probabilities=ProbabilitiesRecord((d, h, w, classes), _rows(affine), array_sha256(data)))


def with_entropy(record: RunRecord, data: NDArray[np.float32], affine: NDArray[np.float64]) -> RunRecord:
    """The record that goes into an entropy map, (D, H, W)."""
    d, h, w = data.shape
    return replace(record, entropy=MapRecord((d, h, w), _rows(affine), array_sha256(data)))


def with_brain(record: RunRecord, data: NDArray[np.uint8], affine: NDArray[np.float64]) -> RunRecord:
    """The record that goes into a brain mask, (X, Y, Z)."""
    x, y, z = data.shape
    return replace(record, brain=MapRecord((x, y, z), _rows(affine), array_sha256(data)))


def _grid(shape: tuple[int, ...], affine: NDArray[np.float64]) -> GridRecord:
    x, y, z = shape
    a, b, c = (float(size) for size in np.linalg.norm(affine[:3, :3], axis=0))
    return GridRecord((x, y, z), _rows(affine), (a, b, c))


def _rows(affine: NDArray[np.float64]) -> Rows:
    return cast(Rows, tuple(tuple(row) for row in affine.tolist()))


def _names(volumes: Mapping[Modality, Volume]) -> dict[str, str]:
    """Sources that are paths: of files, and of images that remember theirs."""
    return {volume.source: file_name(volume.source) for volume in volumes.values() if os.sep in volume.source}


def _without_folders(text: str, names: Mapping[str, str]) -> str:
    for source in sorted(names, key=len, reverse=True):
        text = text.replace(source, names[source])
    return text


def _versions() -> VersionsRecord:
    return VersionsRecord(
        brats_trt=_own_version(),
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        numpy=np.__version__,
        onnx=_loaded("onnx"),
        openvino=_loaded("openvino"),
        cupy=_loaded("cupy"),
        tensorrt=_loaded("tensorrt"),
        tensorrt_rtx=_loaded("tensorrt_rtx"),
    )


@cache
def _own_version() -> str:
    return version("brats-trt")


def _loaded(module: str) -> str | None:
    """The version of a module of Python's that this process has imported, without its build."""
    found = getattr(sys.modules.get(module), "__version__", None)
    return None if found is None else str(found).split("-")[0]
