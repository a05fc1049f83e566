"""What a worker of the service is for: a `Segmenter` that is loaded once and answers a golden case before it is ready.

The golden case goes through every stage that a patient's goes through, and its label map is compared with that of
OpenVINO in FP32, which shares no code with the engines that answer patients.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError, EngineError
from ..plans.golden import TOLERANCE, golden_crop, moved, octant_counts
from ..raw.options import RawOptions
from ..segmenter import CaseWarning, Segmenter
from ..spec import LABEL_VALUES, MODALITIES

if TYPE_CHECKING:
    from .worker_main import Arrays, Work

# A stage of the job's own, after those that `Segmenter.run` tells of: "load", "align", "strip", "segment".
ANSWER = "answer"

_GOLDEN_SIZE = (96, 104, 88)
_GOLDEN_MARGIN = 7  # so that there is something to crop
_GOLDEN_SCALE = 2000.0

Counts = Sequence[Sequence[int]]


def segment(options: dict[str, Any]) -> Work:
    """A job for `Worker`: segments cases.

    Parameters
    ----------
    options
        "segmenter": the keyword arguments of `Segmenter`. "golden": what `expected_counts` gave, or None of a plan,
        whose manifest has a golden case of its own, which the segmenter answers when it is loaded.

    Returns
    -------
    Computes a case of "affines", voxel to RAS millimetre (4, 4) by modality, and "raw", None or the arguments of
    `RawOptions`, whose arrays are the volumes by modality. Answers "affine", "volumes_ml", "warnings", "timings_ms",
    "record", "confidence" and "model_sha256", and the array "labels", (X, Y, Z) uint8.

    Raises
    ------
    EngineError
        If the engine cannot be loaded, or labels the golden case otherwise than expected.
    """
    segmenter = Segmenter(**{"keep_probabilities": "calibrated", **options["segmenter"]})
    if options["golden"] is not None:
        _check(segmenter, options["golden"])

    def work(content: dict[str, Any], arrays: Arrays, enter: Callable[[str], None]) -> tuple[dict[str, Any], Arrays]:
        raw = content["raw"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CaseWarning)  # they are in the answer
            result = segmenter.run(
                _images(arrays, content["affines"]), raw=raw is not None and RawOptions(**raw), on_stage=enter
            )
        enter(ANSWER)
        confidence = result.confidence
        answer = {
            "affine": result.affine.tolist(),
            "volumes_ml": result.volumes_ml,
            "warnings": list(result.portable_warnings),
            "timings_ms": dict(result.timings_ms),
            "record": result.record.document(),
            "confidence": None if confidence is None else dict(confidence),
            "model_sha256": result.model_sha256,
        }
        return answer, {"labels": result.labels}

    return work


def expect(options: dict[str, Any]) -> Work:
    """A job for `Worker`: labels the golden case by OpenVINO in FP32, and answers its "counts".

    A process of its own for it: what OpenVINO keeps of a model ends with it.

    Parameters
    ----------
    options
        "segmenter": as for `segment`; its device, runtime and precision do not count.
    """
    reference = {**options["segmenter"], "device": "cpu", "runtime": "openvino", "precision": "fp32"}
    segmenter = Segmenter(**reference, keep_probabilities=False)

    def work(content: dict[str, Any], arrays: Arrays, enter: Callable[[str], None]) -> tuple[dict[str, Any], Arrays]:
        return {"counts": golden_case_counts(segmenter)}, {}

    return work


def golden_volumes(seed: int = 0) -> dict[str, NDArray[np.int16]]:
    """The golden case: four volumes of one head on one grid, in whole numbers, by modality."""
    crop = golden_crop(seed, _GOLDEN_SIZE)[0]
    margins = [(_GOLDEN_MARGIN, _GOLDEN_MARGIN)] * 3
    values = (np.pad(np.rint(volume * _GOLDEN_SCALE).astype(np.int16), margins) for volume in crop)
    return dict(zip(MODALITIES, values, strict=True))


def golden_case_counts(segmenter: Segmenter) -> list[list[int]]:
    """Voxels of each label, by value from 0, in each octant of the golden case's label map."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaseWarning)
        labels = segmenter.run(golden_volumes()).labels
    return [list(octant) for octant in octant_counts(labels, 1 + max(map(max, LABEL_VALUES.values())))]


def _check(segmenter: Segmenter, expected: Counts) -> None:
    share = moved(golden_case_counts(segmenter), expected)
    if share > TOLERANCE:
        raise EngineError(
            f"the engine labels the golden case otherwise than OpenVINO in FP32: counted by octant {share:.2%} of the "
            f"voxels moved, {TOLERANCE:.2%} may: choose another runtime or precision, or convert the model again"
        )


def _images(arrays: Arrays, affines: Mapping[str, Any]) -> dict[str, Any]:
    """Volumes that know where they lie."""
    from nibabel.nifti1 import Nifti1Image

    if set(arrays) != set(affines):
        raise CaseError(f"volumes of {sorted(arrays)} came with affines of {sorted(affines)}: send one for each")
    return {
        modality: Nifti1Image(array, np.array(affines[modality], np.float64), dtype=cast(Any, array.dtype))
        for modality, array in arrays.items()
    }
