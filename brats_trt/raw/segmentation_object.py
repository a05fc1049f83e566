"""A label map as a DICOM segmentation object of the series that it lies on, by highdicom, an extra.

Binary, a segment a class that was found. It belongs to the patient's exam, and so carries the patient's module as the
images do; whoever sends it on sends that with it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError
from ..exam.pydicom_access import pydicom_module
from ..exam.stack import Stack
from ..files import refuse_existing, write_whole
from ..spec import LABEL_VALUES

if TYPE_CHECKING:
    from ..segmentation import Segmentation

# SNOMED CT codes and meanings, in the order of the classes.
_CATEGORY = ("49755003", "Morphologically Abnormal Structure")
_BRAIN = ("12738006", "Brain")
_SEGMENTS = (
    ("Necrotic core", ("6574001", "Necrosis")),
    ("Oedema", ("79654002", "Edema")),
    ("Enhancing tumour", ("108369006", "Neoplasm")),
)
# Attributes that anonymised files lack and that a file has to have, if empty (DICOM PS3.3, C.7.1.1 and C.7.2.1).
_MAY_BE_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
_DESCRIPTION = "Brain tumour; research use only, not a medical device"


def segmentation_object(result: Segmentation) -> bytes:
    """A result's labels as a DICOM file.

    Raises
    ------
    CaseError
        If the labels lie on no DICOM series, nothing was found, highdicom is not installed, or the series is no longer
        there.
    """
    stack = None if result.raw is None else result.raw.stack
    if stack is None:
        raise CaseError(f"{result.name}: its labels lie on no DICOM series; write NIfTI instead")
    classes = _classes(result)
    found = [number for number in (1, 2, 3) if (classes == number).any()]
    if not found:
        raise CaseError(f"{result.name}: no tumour was found, and a segmentation object needs a segment: write NIfTI")
    highdicom = _highdicom()
    images, order = _sources(stack)
    frames = np.stack([classes[:, :, k].T for k in order])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values in the source that DICOM would have otherwise
        made = highdicom.seg.Segmentation(
            source_images=images,
            pixel_array=np.stack([frames == number for number in found], axis=-1),
            segmentation_type="BINARY",
            segment_descriptions=[_segment(highdicom, k, number, result) for k, number in enumerate(found, start=1)],
            series_instance_uid=highdicom.UID(),
            series_number=9000,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer="brats_trt",
            manufacturer_model_name="brats_trt",
            software_versions=version("brats-trt"),
            device_serial_number="none",
            content_label="BRAIN_TUMOUR",
            content_description=_DESCRIPTION,
            series_description=_DESCRIPTION,
        )
    return _written(made)


def save_segmentation_object(result: Segmentation, path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Write it whole or not at all.

    Raises
    ------
    CaseError
        As `segmentation_object`; if the path is not .dcm, exists without `overwrite`, or cannot be written.
    """
    target = Path(path)
    if target.suffix != ".dcm":
        raise CaseError(f"{target}: expected a name that ends in .dcm: rename the output")
    refuse_existing(target, overwrite=overwrite)
    write_whole(target, segmentation_object(result))


def _classes(result: Segmentation) -> NDArray[np.uint8]:
    """Labels as class numbers 0 to 3, whatever their scheme."""
    numbers = np.zeros(256, np.uint8)
    for number, value in enumerate(LABEL_VALUES[result.label_scheme]):
        numbers[value] = number
    classes: NDArray[np.uint8] = numbers[result.labels]
    return classes


def _highdicom() -> Any:
    try:
        import_module("highdicom.seg")
        return import_module("highdicom")
    except ModuleNotFoundError as fault:
        raise CaseError(
            f"a segmentation object needs {fault.name}, which is not installed: pip install 'brats-trt[dicom]'"
        ) from None


def _sources(stack: Stack) -> tuple[list[Any], list[int]]:
    """The headers of the images, and the slice of each of their frames."""
    pydicom = pydicom_module()
    firsts = [slice_[0] for slice_ in stack.slices]
    try:
        if all(frame.path == firsts[0].path for frame in firsts) and len(firsts) > 1:
            image = _header(pydicom, firsts[0].path)
            places: Mapping[int, int] = {frame.index: k for k, images in enumerate(stack.slices) for frame in images}
            return [image], [places[index] for index in range(int(image.NumberOfFrames))]
        return [_header(pydicom, frame.path) for frame in firsts], list(range(len(firsts)))
    except (OSError, KeyError) as fault:
        raise CaseError(
            f"the series that the labels lie on is no longer as it was read ({fault}): run it again"
        ) from None


def _header(pydicom: Any, path: Path) -> Any:
    """A source's header, in which what DICOM lets be empty is there."""
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    for name in _MAY_BE_EMPTY:
        if name not in dataset:
            setattr(dataset, name, None)
    return dataset


def _segment(highdicom: Any, place: int, number: int, result: Segmentation) -> Any:
    from ..pictures.palette import ENHANCING, NECROTIC, OEDEMA

    label, finding = _SEGMENTS[number - 1]
    colour = (NECROTIC, OEDEMA, ENHANCING)[number - 1]
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="brats_trt",
        family=highdicom.sr.CodedConcept("123110", "DCM", "Artificial Intelligence"),
        version=version("brats-trt"),
        parameters={"model_sha256": result.model_sha256},
    )
    return highdicom.seg.SegmentDescription(
        segment_number=place,
        segment_label=label,
        segmented_property_category=_concept(highdicom, _CATEGORY),
        segmented_property_type=_concept(highdicom, finding),
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
        anatomic_regions=[_concept(highdicom, _BRAIN)],
        display_color=highdicom.color.CIELabColor.from_rgb(*colour),
    )


def _concept(highdicom: Any, code: tuple[str, str]) -> Any:
    value, meaning = code
    return highdicom.sr.CodedConcept(value, "SCT", meaning)


def _written(made: Any) -> bytes:
    content = BytesIO()
    made.save_as(content, enforce_file_format=True)
    return content.getvalue()
