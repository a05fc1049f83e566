"""Where a raw exam's series come from: a folder of DICOM files, a case folder, or volumes by modality."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..case import PlacedVolume, VolumeSource, load_volumes
from ..case_folder import case_name, is_volume
from ..errors import CaseError
from ..exam import read_exam
from ..exam.stack import Stack
from ..geometry import Affine
from ..nifti import check_unit
from ..spec import Modality
from ..volume import Volume

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

RawSource = str | os.PathLike[str] | Mapping[str, VolumeSource]


@dataclass(frozen=True, eq=False)
class RawSeries:
    """A volume on its own grid.

    Attributes
    ----------
    affine
        (4, 4) float64, voxel to RAS millimetre.
    frame_of_reference
        DICOM's UID; "" of NIfTI, whose affines are taken to share a frame.
    header
        Of a NIfTI file or image.
    stack
        The images of a DICOM series.
    """

    volume: Volume
    affine: Affine
    frame_of_reference: str = ""
    header: Nifti1Header | None = None
    stack: Stack | None = None


@dataclass(frozen=True, eq=False)
class RawExam:
    """An exam's series by modality."""

    name: str
    series: Mapping[Modality, RawSeries]


def load_raw(
    source: RawSource,
    mapping: Mapping[str, str] | None = None,
    *,
    threads: int | None = None,
    digest: bool = False,
    incomplete: bool = False,
) -> RawExam:
    """Read the series of an exam.

    Parameters
    ----------
    source
        A folder of DICOM files, a folder with BraTS names, or a mapping of modality to NIfTI path or nibabel image.
    mapping
        For DICOM: modality to series, in place of what the rules say.

    Raises
    ------
    CaseError
        If a modality is missing or ambiguous, or a volume cannot be read or has no affine.
    """
    if isinstance(source, Mapping) or _holds_nifti(Path(source)):
        if mapping:
            raise CaseError(f"series are mapped ({', '.join(mapping)}), but the exam is no DICOM: leave --map out")
        name, placed = load_volumes(source, threads=threads, digest=digest, incomplete=incomplete)
        return RawExam(name, {modality: _placed(found) for modality, found in placed.items()})
    exam = read_exam(source, mapping)
    chosen = exam.chosen(incomplete=incomplete)
    loaded = {
        modality: RawSeries(*exam.load(entry, digest=digest), entry.frame_of_reference, stack=entry.stack)
        for modality, entry in chosen.items()
    }
    return RawExam(case_name(Path(source)), loaded)


def _holds_nifti(folder: Path) -> bool:
    try:
        return any(is_volume(entry.name) for entry in os.scandir(folder))
    except OSError:  # no folder, or none that may be read: the exam's reader says so
        return False


def _placed(found: PlacedVolume) -> RawSeries:
    check_unit(found.volume.source, found.header)
    if found.affine is None:
        raise CaseError(f"{found.volume.source} has no affine, which tells where a series lies: give a NIfTI image")
    return RawSeries(found.volume, found.affine, header=found.header)
