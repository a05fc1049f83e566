"""Whether an output is as it was written, and belongs to these inputs and this model, by its record.

A record is not signed: who can write the file can write its record too. What is found is change, not forgery.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import EngineError
from ..geometry import GRID_TOLERANCE_MM, grid_distance_mm
from ..nifti import NiftiImage, read_nifti
from ..plans.manifest import file_sha256, manifest_path, read_manifest
from .check import Check, compared, short
from .given import find_inputs
from .hashing import array_sha256
from .input_checks import check_inputs
from .reading import is_page, is_picture, read_record
from .record import RunRecord
from .series_checks import check_series


@dataclass(frozen=True)
class Verification:
    """What an output's record says, compared with the output and with what it is said to come from."""

    record: RunRecord
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether all that was asked for is as recorded."""
        return all(check.status in ("ok", "not checked") for check in self.checks)


def verify(
    output: str | os.PathLike[str],
    inputs: Sequence[str | os.PathLike[str]] | Mapping[str, str | os.PathLike[str]] = (),
    *,
    engine: str | os.PathLike[str] | None = None,
) -> Verification:
    """Compare an output with its record, and the record with inputs and a model.

    Parameters
    ----------
    output
        A label map, a probability or entropy map, a brain mask, a page or a picture that brats_trt wrote.
    inputs
        A case folder or a 4-D Decathlon file, the four files of a case, or these by modality name; the folder of
        an exam for a record of DICOM series; () compares none.
    engine
        An .onnx file or a plan; None compares none.

    Raises
    ------
    CaseError
        If the output holds no record, or the output or an input cannot be read.
    EngineError
        If the engine cannot be read.
    """
    path = Path(output)
    record = read_record(path)
    return Verification(
        record,
        (
            *_check_output(path, record),
            *_check_inputs(record, inputs),
            *_check_engine(record, None if engine is None else Path(engine)),
        ),
    )


def _check_inputs(
    record: RunRecord, inputs: Sequence[str | os.PathLike[str]] | Mapping[str, str | os.PathLike[str]]
) -> Iterator[Check]:
    if inputs and any(volume.kind == "series" for volume in record.inputs):
        return check_series(record.inputs, [*inputs.values()] if isinstance(inputs, Mapping) else inputs)
    files = find_inputs(inputs, [volume.modality for volume in record.inputs]) if inputs else None
    return check_inputs(record.inputs, files)


def _check_output(path: Path, record: RunRecord) -> Iterator[Check]:
    if is_page(path):
        yield Check("labels", "not checked", "a page holds a picture of them: verify the label map")
        return
    if is_picture(path):
        yield Check("labels", "not checked", "a picture holds three planes of them: verify the label map")
        return
    image = read_nifti(path)
    for name, dtype, beside in (
        ("probabilities", "float32", record.probabilities),
        ("entropy", "float32", record.entropy),
        ("brain", "uint8", record.brain),
    ):
        if beside is not None:
            yield _check_voxels(name, image, dtype, beside.sha256)
            yield _check_grid(image, beside.shape, beside.affine)
            return
    yield _check_voxels("labels", image, "uint8", record.labels_sha256)
    yield _check_grid(image, record.grid.shape, record.grid.affine)


def _check_voxels(subject: str, image: NiftiImage, dtype: str, recorded: str) -> Check:
    scale = (image.slope, image.intercept)
    if image.data.dtype != np.dtype(dtype) or scale != (1.0, 0.0):
        found = f"{image.data.dtype} with slope {scale[0]:g} and intercept {scale[1]:g}"
        return Check(subject, "differs", f"recorded as {dtype} without scale, found {found}")
    return compared(subject, recorded, array_sha256(image.data))


def _check_grid(image: NiftiImage, shape: tuple[int, ...], rows: Sequence[Sequence[float]]) -> Check:
    if image.data.shape != shape:
        return Check("grid", "differs", f"recorded shape {shape}, found {image.data.shape}")
    unit = str(image.header.get_xyzt_units()[0])
    if unit not in ("mm", "unknown"):
        return Check("grid", "differs", f"recorded in millimetres, found in {unit}")
    distance = grid_distance_mm(np.array(rows), image.affine, image.data.shape[:3])
    if not distance <= GRID_TOLERANCE_MM:
        found = f"found one that puts voxels up to {distance:.4g} mm elsewhere: {image.affine.tolist()}"
        return Check("grid", "differs", f"recorded affine {[list(row) for row in rows]}, {found}")
    return Check("grid", "ok", f"shape {shape}, affine as recorded")


def _check_engine(record: RunRecord, engine: Path | None) -> Iterator[Check]:
    if engine is None:
        yield Check("model", "not checked", "give the model or the plan with --engine")
        return
    plan = record.model.plan
    if engine.suffix.lower() == ".onnx":
        yield compared("model", record.model.sha256, file_sha256(engine))
        if plan is not None:
            yield Check("plan", "not checked", f"give the {plan.flavour} plan of sha256 {short(plan.sha256)}")
        return
    if not manifest_path(engine).exists():
        raise EngineError(f"{engine}: expected an .onnx file, or a plan with {manifest_path(engine).name} beside it")
    yield compared("model", record.model.sha256, read_manifest(engine).onnx.sha256)
    if plan is None:
        yield Check("plan", "differs", f"recorded none, but {record.runtime.name} on the CPU; found {engine.name}")
    else:
        yield compared("plan", plan.sha256, file_sha256(engine))
