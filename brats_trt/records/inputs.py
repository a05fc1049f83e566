"""The volumes of a case as the record names them; voxels in memory are hashed by threads of their own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import TYPE_CHECKING

from ..device_array import DeviceArray
from ..spec import Modality
from .hashing import volume_sha256
from .parts import InputRecord

if TYPE_CHECKING:
    from ..volume import Volume

_HASHERS = 4


class InputHashes:
    """Hashes volumes that came as arrays or images, in threads of its own, while its `with` block runs.

    Files have their hash from the reader. What lies on a GPU is not copied to be hashed. Leaving the block waits for
    the hashes; nobody may write to the volumes before.

    Parameters
    ----------
    volumes
        By modality.
    order
        That of the records.
    hashed
        Hash at all.
    threads
        At most so many, and at most one a volume; None is one a volume.
    """

    def __init__(
        self, volumes: Mapping[Modality, Volume], order: Sequence[Modality], *, hashed: bool, threads: int | None
    ) -> None:
        self._volumes = {modality: volumes[modality] for modality in order}
        self._hashed = hashed
        self._pool = ThreadPoolExecutor(min(threads or _HASHERS, _HASHERS), "brats_trt-hash")
        self._hashes: dict[Modality, Future[str | None]] = {}

    def __enter__(self) -> InputHashes:
        for modality, volume in self._volumes.items():
            if self._hashed and volume.origin.kind != "file":
                self._hashes[modality] = self._pool.submit(voxels_sha256, volume)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()

    def wait(self) -> None:
        """Wait for the hashes now."""
        wait(self._hashes.values())

    def records(self) -> tuple[InputRecord, ...]:
        """Of the volumes, in order."""
        return tuple(self._record(modality) for modality in self._volumes)

    def _record(self, modality: Modality) -> InputRecord:
        origin = self._volumes[modality].origin
        sha256 = self._hashes[modality].result() if modality in self._hashes else origin.sha256
        name = None if origin.file is None else file_name(origin.file)
        return InputRecord(modality, origin.kind, name, origin.index, sha256)


def voxels_sha256(volume: Volume) -> str | None:
    """The hash of a volume's voxels and of what gives them meaning; None where they lie on a GPU."""
    if isinstance(volume.data, DeviceArray):
        return None
    return volume_sha256(volume.data, slope=volume.slope, intercept=volume.intercept, affine=volume.origin.affine)


def file_name(path: str | os.PathLike[str]) -> str:
    """A path's last part, with a replacement character for every byte that is not UTF-8."""
    return os.fsencode(os.path.basename(os.path.abspath(path))).decode("utf-8", "replace")
