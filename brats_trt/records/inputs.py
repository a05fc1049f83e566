"""The volumes of a case as the record names them; voxels in memory are hashed by threads of their own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

from ..device_array import DeviceArray
from ..spec import Modality
from .hashing import volume_sha256
from .parts import InputRecord

if TYPE_CHECKING:
    from ..volume import Volume

HashInputs = Literal["files", "all", "none"]

_HASHERS = 4


def input_records(
    volumes: Mapping[Modality, Volume], order: Sequence[Modality], *, hash_voxels: bool, threads: int | None
) -> tuple[InputRecord, ...]:
    """Name a case's volumes.

    Parameters
    ----------
    volumes
        By modality. Files have their hash from the reader.
    order
        That of the records.
    hash_voxels
        Hash what came as arrays or images too; what lies on a GPU is not copied to be hashed.
    threads
        Hash on at most so many, and at most one a volume; None is one a volume.
    """
    with ThreadPoolExecutor(min(threads or _HASHERS, _HASHERS), "brats_trt-hash") as pool:
        hashes = {
            modality: pool.submit(voxels_sha256, volume)
            for modality, volume in volumes.items()
            if hash_voxels and volume.origin.kind != "file"
        }
        return tuple(
            _record(modality, volumes[modality], hashes[modality].result() if modality in hashes else None)
            for modality in order
        )


def _record(modality: Modality, volume: Volume, voxels: str | None) -> InputRecord:
    origin = volume.origin
    name = None if origin.file is None else file_name(origin.file)
    return InputRecord(modality, origin.kind, name, origin.index, origin.sha256 if voxels is None else voxels)


def voxels_sha256(volume: Volume) -> str | None:
    """The hash of a volume's voxels and of what gives them meaning; None where they lie on a GPU."""
    if isinstance(volume.data, DeviceArray):
        return None
    return volume_sha256(volume.data, slope=volume.slope, intercept=volume.intercept, affine=volume.origin.affine)


def file_name(path: str | os.PathLike[str]) -> str:
    """A path's last part, with a replacement character for every byte that is not UTF-8."""
    return os.fsencode(os.path.basename(os.path.abspath(path))).decode("utf-8", "replace")
