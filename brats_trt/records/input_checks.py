"""Files against the inputs of a record, one modality after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from ..case_folder import DECATHLON_ORDER
from ..errors import CaseError
from ..files import file_sha256
from ..nifti import read_nifti
from ..spec import Modality
from .check import Check, short
from .hashing import volume_sha256
from .inputs import file_name
from .parts import InputRecord


def check_inputs(recorded: Sequence[InputRecord], files: Mapping[Modality, Path] | None) -> Iterator[Check]:
    """Compare what a record says came in with files by modality; None are not compared.

    Raises
    ------
    CaseError
        If a file cannot be read.
    """
    if files is None:
        yield Check("inputs", "not checked", "give the case folder, its four files, or its 4-D file")
        return
    found = cache(_file_sha256)
    for volume in recorded:
        path = files[volume.modality]
        if volume.sha256 is None:
            reason = "its voxels lay on a GPU" if volume.kind == "device_array" else "it was not to be hashed"
            yield Check(volume.modality, "unknown", f"recorded without a sha256, since {reason}")
        elif volume.kind == "file":
            yield _check_file(volume, path, found(path), {other.sha256: other.modality for other in recorded})
        else:
            yield _check_voxels(volume, path)


def _check_file(volume: InputRecord, path: Path, found: str, owners: Mapping[str | None, Modality]) -> Check:
    name = file_name(path)
    if volume.sha256 == found:
        renamed = "" if volume.name == name else f", recorded as {volume.name}"
        return Check(volume.modality, "ok", f"{name}{renamed}, sha256 {short(found)}")
    hint = f", which is recorded as {owners[found]}" if found in owners else ""
    recorded = f"recorded {volume.name} of sha256 {volume.sha256}"
    return Check(volume.modality, "differs", f"{recorded}, found {name} of {found}{hint}")


def _check_voxels(volume: InputRecord, path: Path) -> Check:
    """A volume that was handed over in memory; an array had either the file's type or nibabel's float64."""
    found = _voxel_hashes(volume, path)
    what = f"the voxels of the {volume.kind} that was given"
    if volume.sha256 in found:
        return Check(volume.modality, "ok", f"{file_name(path)} has {what}")
    recorded = f"recorded {what}, sha256 {volume.sha256}"
    return Check(volume.modality, "differs", f"{recorded}, found {file_name(path)} of {' or '.join(found)}")


def _voxel_hashes(volume: InputRecord, path: Path) -> list[str]:
    image = read_nifti(path)
    data = image.data
    if data.ndim == 4:
        data = data[..., DECATHLON_ORDER.index(volume.modality) if volume.index is None else volume.index]
    if volume.kind == "image":
        return [volume_sha256(data, slope=image.slope, intercept=image.intercept, affine=image.affine)]
    scaled = data.astype(np.float64) * image.slope + image.intercept
    plain = [scaled] if (image.slope, image.intercept) != (1.0, 0.0) else [data, scaled]
    return [volume_sha256(array, slope=1.0, intercept=0.0, affine=None) for array in plain]


def _file_sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except (OSError, ValueError) as fault:  # ValueError: a null character in the name
        reason = getattr(fault, "strerror", None) or fault
        raise CaseError(f"{str(path)!r}: cannot be read ({reason}); give the path of a readable file") from None
