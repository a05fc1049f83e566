"""Headers of an exam to its series: one entry a volume, or a reason why images make none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from ..errors import CaseError
from .header import Acquisition, Frame, Header
from .rules import Recognition, recognise
from .stack import Stack, split_by_layout, stack


@dataclass(frozen=True, eq=False)
class Series:
    """Images of one exam that were acquired as one.

    Attributes
    ----------
    number
        Of this list, from 1; the scanner's own may be there twice.
    uid
        The series instance UID; one series can make several entries.
    description
        As on the scanner; for the terminal only, since people write names into it.
    frame_of_reference
        Its UID: entries that share it share a coordinate system.
    images
        How many there are.
    stack
        None where the images make no volume.
    recognition
        Which modality, with the evidence, or why none.
    """

    number: int
    uid: str
    description: str
    frame_of_reference: str
    images: int
    acquisition: Acquisition
    stack: Stack | None
    recognition: Recognition


def find_series(headers: Sequence[Header]) -> tuple[Series, ...]:
    """Every series of an exam, in the order of the scanner's numbers.

    Raises
    ------
    CaseError
        If the files are of two patients or of two exams, or there is none.
    """
    _check_identity(headers)
    by_uid: dict[str, list[Header]] = {}
    for header in headers:
        by_uid.setdefault(header.series, []).append(header)
    ordered = sorted(by_uid.values(), key=_order)
    numbers = count(1)
    return tuple(entry for found in ordered for entry in _volumes(found, numbers))


def _check_identity(headers: Sequence[Header]) -> None:
    patients = {header.identity.patient for header in headers}
    if len(patients) > 1:
        raise CaseError(
            f"the files are of {len(patients)} patients, by ID, name and birth date; expected one exam: find out "
            "how they came together, and give each exam its folder"
        )
    studies = {header.identity.study for header in headers}
    if len(studies) > 1:
        raise CaseError(
            f"the files are of {len(studies)} exams (study instance UIDs); expected one: give each its folder"
        )


def _order(headers: Sequence[Header]) -> tuple[bool, int, str]:
    number = headers[0].number
    return (number is None, number or 0, headers[0].series)


def _volumes(headers: Sequence[Header], numbers: Iterator[int]) -> Iterator[Series]:
    """One entry for each volume of a series; images that have a fault are one entry together."""
    uid, description = headers[0].series, headers[0].description
    faulty = [header for header in headers if header.fault]
    if faulty:
        fault, frame = Recognition(None, faulty[0].fault), faulty[0].frame_of_reference
        yield Series(next(numbers), uid, description, frame, len(faulty), Acquisition(), None, fault)
    for frame in dict.fromkeys(header.frame_of_reference for header in headers):
        alike = [header for header in headers if header.frame_of_reference == frame]
        for images in split_by_layout(image for header in alike for image in header.frames):
            seen = images[0].acquisition
            volume, recognition = _understood(images, recognise(seen))
            yield Series(next(numbers), uid, description, frame, len(images), seen, volume, recognition)


def _understood(images: Sequence[Frame], seen: Recognition) -> tuple[Stack | None, Recognition]:
    volume = stack(images)
    if isinstance(volume, Stack):
        return volume, seen
    return None, Recognition(None, seen.reason if seen.modality is None else f"no volume: {volume}")
