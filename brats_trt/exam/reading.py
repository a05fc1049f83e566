"""DICOM headers to `Header`: classic and enhanced MR.

Whatever pydicom raises on a damaged file becomes one `CaseError`: a slice that cannot be read may be a volume's last
one, whose absence nothing else would show.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import CaseError
from .header import Acquisition, Frame, Header, Identity, Layout, Vector
from .pydicom_access import pydicom_module

MR_IMAGES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.4",  # MR
        "1.2.840.10008.5.1.4.1.1.4.1",  # enhanced MR
        "1.2.840.10008.5.1.4.1.1.4.4",  # legacy converted enhanced MR
    }
)
_DIRECTORY = "1.2.840.10008.1.3.10"
_NO_AGENT = frozenset({"", "no", "none", "n", "0", "without", "ohne", "nein", "non", "sans"})
_MOST_FRAMES = 100_000
_TAGS = [
    *("SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"),
    *("PatientID", "PatientName", "PatientBirthDate", "SeriesNumber", "SeriesDescription", "ProtocolName"),
    *("SequenceName", "PulseSequenceName", "ScanningSequence", "ImageType"),
    *("RepetitionTime", "EchoTime", "EchoNumbers", "InversionTime", "FlipAngle", "TemporalPositionIdentifier"),
    *("ContrastBolusAgent", "ContrastBolusAgentSequence", "AcquisitionDateTime", "AcquisitionDate", "AcquisitionTime"),
    *("SeriesDate", "SeriesTime", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing"),
    *("RescaleSlope", "RescaleIntercept", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
]


def read_header(path: Path) -> Header | None:
    """A file's header; None of a file that is no DICOM or a directory of other files.

    Raises
    ------
    CaseError
        If it is DICOM and damaged, or cannot be read; if pydicom is not installed.
    """
    pydicom = pydicom_module()
    errors = pydicom_module("pydicom.errors")
    try:
        with path.open("rb") as file:
            dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS)
            if str(dataset.file_meta.get("MediaStorageSOPClassUID", "")) == _DIRECTORY:
                return None
            header = _header(path, dataset)
            if header.frames:
                _check_size(dataset, path.stat().st_size - file.tell())
        return header
    except errors.InvalidDicomError:
        return None
    except MemoryError:
        raise
    except OSError as fault:
        reason = fault.strerror or "it ends too early"
        raise CaseError(f"{path}: cannot be read ({reason}): copy the exam again") from None
    except Exception:  # pydicom parses values when they are asked for, and raises what it likes
        raise CaseError(f"{path}: a damaged DICOM file: copy the exam again, or take the file out of it") from None


def _check_size(dataset: Any, left: int) -> None:
    """A file that ends too early has fewer bytes after its header than its pixels take; pydicom would not mind."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_deflated:
        return
    pixels = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("NumberOfFrames") or 1)
    least = 1 if syntax.is_encapsulated else pixels * int(dataset.BitsAllocated) // 8
    if left < least:
        raise ValueError("pixels for every image")


def _header(path: Path, dataset: Any) -> Header:
    if not all(_text(dataset, name) for name in ("SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID")):
        raise ValueError("what kind of file it is, and of which exam and series")
    fault = _fault(dataset)
    number = _text(dataset, "SeriesNumber")
    return Header(
        path=path,
        identity=Identity(_patient(dataset), _text(dataset, "StudyInstanceUID")),
        series=_text(dataset, "SeriesInstanceUID"),
        number=int(number) if number else None,
        description=_text(dataset, "SeriesDescription"),
        frame_of_reference=_text(dataset, "FrameOfReferenceUID"),
        frames=() if fault else _frames(path, dataset),
        fault=fault,
    )


def _patient(dataset: Any) -> str:
    identifiers = [_text(dataset, name) for name in ("PatientID", "PatientName", "PatientBirthDate")]
    return hashlib.sha256("\0".join(identifiers).encode()).hexdigest()


def _fault(dataset: Any) -> str:
    """Why a file's images can be part of no volume."""
    if _text(dataset, "SOPClassUID") not in MR_IMAGES:
        return "no MR images"
    if "MOSAIC" in _capitals(dataset.get("ImageType")):
        return "mosaics of slices"
    if int(dataset.get("SamplesPerPixel") or 1) != 1:
        return "colour images"
    if _text(dataset, "PhotometricInterpretation") != "MONOCHROME2":
        return "images that are brighter where values are lower"
    if int(dataset.get("BitsAllocated") or 0) not in (8, 16):
        return "values of neither 8 nor 16 bits"
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        place = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
        if not all(dataset.get(name) for name in place):
            return "images without a place in space"
        if int(dataset.get("NumberOfFrames") or 1) != 1:
            return "several frames without a place each"
    return ""


def _frames(path: Path, dataset: Any) -> tuple[Frame, ...]:
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        return (_classic_frame(path, dataset),)
    groups = dataset.PerFrameFunctionalGroupsSequence
    if not len(groups) == int(dataset.NumberOfFrames) <= _MOST_FRAMES:
        raise ValueError("as many groups as frames")
    shared = dataset.SharedFunctionalGroupsSequence
    common = _Groups(shared[0] if len(shared) else None)
    agents = bool(dataset.get("ContrastBolusAgentSequence"))
    return tuple(
        _enhanced_frame(path, index, dataset, _Groups(group, common), agents) for index, group in enumerate(groups)
    )


def _classic_frame(path: Path, dataset: Any) -> Frame:
    image_type = _capitals(dataset.get("ImageType"))
    names = ("SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName")
    acquisition = Acquisition(
        words=_words(*(_text(dataset, name) for name in names)),
        image_type=image_type,
        repetition_ms=_number(dataset.get("RepetitionTime")),
        echo_ms=_number(dataset.get("EchoTime")),
        inversion_ms=_number(dataset.get("InversionTime")),
        flip_deg=_number(dataset.get("FlipAngle")),
        inversion_recovery="IR" in _capitals(dataset.get("ScanningSequence")),
        contrast_agent=_text(dataset, "ContrastBolusAgent").strip().lower() not in _NO_AGENT,
        started=_started(dataset),
    )
    layout = _layout(
        dataset,
        dataset.ImageOrientationPatient,
        dataset.PixelSpacing,
        echo=_text(dataset, "EchoNumbers") or _text(dataset, "EchoTime"),
        phase=_text(dataset, "TemporalPositionIdentifier"),
        image_type=image_type,
    )
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    return Frame(path, 0, layout, _vector(dataset.ImagePositionPatient), *_scale(slope, intercept), acquisition)


class _Groups:
    """The functional groups of one frame: its own, and behind them those that all frames share."""

    def __init__(self, own: Any, common: _Groups | None = None) -> None:
        self._own, self._common = own, common

    def get(self, sequence: str, name: str) -> Any:
        """A value, or None."""
        if self._own is not None and sequence in self._own and len(self._own[sequence].value):
            found = self._own[sequence].value[0].get(name)
            if found is not None:
                return found
        return None if self._common is None else self._common.get(sequence, name)


def _enhanced_frame(path: Path, index: int, dataset: Any, groups: _Groups, agents: bool) -> Frame:
    image_type = _capitals(groups.get("MRImageFrameTypeSequence", "FrameType") or dataset.get("ImageType"))
    timing = "MRTimingAndRelatedParametersSequence"
    echo = groups.get("MREchoSequence", "EffectiveEchoTime")
    inversion = groups.get("MRModifierSequence", "InversionTimes")
    names = ("SeriesDescription", "ProtocolName", "PulseSequenceName")
    contrast = str(groups.get("MRImageFrameTypeSequence", "AcquisitionContrast") or "").replace("_", " ")
    acquisition = Acquisition(
        words=_words(*(_text(dataset, name) for name in names), "" if contrast == "UNKNOWN" else contrast),
        image_type=image_type,
        repetition_ms=_number(groups.get(timing, "RepetitionTime")),
        echo_ms=_number(echo),
        inversion_ms=_number(inversion if not isinstance(inversion, Sequence) else (inversion or [None])[0]),
        flip_deg=_number(groups.get(timing, "FlipAngle")),
        inversion_recovery=groups.get("MRModifierSequence", "InversionRecovery") == "YES",
        contrast_agent=agents,
        started=_started(dataset),
    )
    layout = _layout(
        dataset,
        groups.get("PlaneOrientationSequence", "ImageOrientationPatient"),
        groups.get("PixelMeasuresSequence", "PixelSpacing"),
        echo="" if echo is None else str(echo),
        phase=str(groups.get("FrameContentSequence", "TemporalPositionIndex") or ""),
        image_type=image_type,
    )
    position = _vector(groups.get("PlanePositionSequence", "ImagePositionPatient"))
    values = "PixelValueTransformationSequence"
    slope, intercept = groups.get(values, "RescaleSlope"), groups.get(values, "RescaleIntercept")
    return Frame(path, index, layout, position, *_scale(slope, intercept), acquisition)


def _layout(
    dataset: Any, orientation: Any, spacing: Any, *, echo: str, phase: str, image_type: tuple[str, ...]
) -> Layout:
    if len(orientation) != 6 or len(spacing) != 2:
        raise ValueError("six direction cosines and two distances")
    row_mm, column_mm = (_finite(value) for value in spacing)
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if min(row_mm, column_mm) <= 0 or min(rows, columns) < 1:
        raise ValueError("distances and sizes above zero")
    along_row, along_column = _vector(orientation[:3]), _vector(orientation[3:])
    return Layout(rows, columns, along_row, along_column, row_mm, column_mm, echo, phase, " ".join(image_type[2:]))


def _started(dataset: Any) -> str:
    """Date and time of the acquisition, or of the series."""
    whole = _text(dataset, "AcquisitionDateTime")
    if whole:
        return whole
    for kind in ("Acquisition", "Series"):
        date, time = _text(dataset, f"{kind}Date"), _text(dataset, f"{kind}Time")
        if date and time:
            return date + time
    return ""


def _text(dataset: Any, name: str) -> str:
    value = dataset.get(name)
    return "" if value is None else str(value)


def _words(*texts: str) -> str:
    return " ".join(text for text in texts if text)


def _capitals(values: Any) -> tuple[str, ...]:
    if values is None:
        return ()
    return tuple(str(value).upper() for value in ([values] if isinstance(values, str) else values))


def _vector(values: Any) -> Vector:
    x, y, z = (_finite(value) for value in values)
    return (x, y, z)


def _scale(slope: Any, intercept: Any) -> tuple[float, float]:
    return 1.0 if slope is None else _finite(slope), 0.0 if intercept is None else _finite(intercept)


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("a finite number")
    return number


def _number(value: Any) -> float | None:
    return None if value is None or value == "" else _finite(value)
