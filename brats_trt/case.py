"""A case: four volumes of one head on one grid, by modality, from whatever the user has.

Modalities are found by name and never by position, but for one input: a 4-D array or image object is taken in the
order of the model's spec. A 4-D *file* is taken as one of the Medical Segmentation Decathlon, whose order is FLAIR,
T1, contrast-enhanced T1, T2.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .case_folder import (
    DECATHLON_ORDER,
    DO_WITHOUT,
    case_name,
    find_volumes,
    missing_modalities,
    modality_named,
)
from .device_array import DeviceArray, device_array, lies_on_a_gpu
from .errors import CaseError
from .geometry import GRID_TOLERANCE_MM, Affine, Index3, check_affine, grid_distance_mm
from .nifti import NiftiImage, check_unit, check_volume, read_nifti
from .spec import MODALITIES, Modality
from .volume import Origin, Volume

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header
    from nibabel.spatialimages import SpatialImage

__all__ = ["Case", "ImageSource", "Volume", "VolumeSource", "case_name", "load_case"]

VolumeSource: TypeAlias = "str | os.PathLike[str] | SpatialImage | NDArray[Any] | Any"  # or an array on a GPU
ImageSource: TypeAlias = "VolumeSource | Mapping[str, VolumeSource]"

_READERS = 4


@dataclass(frozen=True, eq=False)
class Case:
    """Four volumes on one grid, or fewer where the case may be incomplete.

    Attributes
    ----------
    volumes
        In the order of the model's modalities.
    affine
        (4, 4) float64, voxel to millimetre; the identity where all volumes came as arrays.
    header
        Of the reference image, the first in the order of modalities; None where it was no NIfTI.
    """

    name: str
    volumes: Mapping[Modality, Volume]
    affine: Affine
    header: Nifti1Header | None

    @property
    def shape(self) -> Index3:
        """Voxels along x, y and z."""
        x, y, z = next(iter(self.volumes.values())).data.shape
        return (x, y, z)


@dataclass(frozen=True, eq=False)
class PlacedVolume:
    """A volume with the grid that it says it lies on; arrays say nothing."""

    volume: Volume
    affine: Affine | None = None
    header: Nifti1Header | None = None


def load_case(
    source: ImageSource,
    modalities: Sequence[Modality] = MODALITIES,
    *,
    threads: int | None = None,
    digest: bool = False,
    incomplete: bool = False,
) -> Case:
    """Read a case and check that its volumes belong together.

    Parameters
    ----------
    source
        A case folder with BraTS names (`<id>_t1.nii.gz` or `<id>-t1n.nii.gz` and so on); a mapping of modality name to
        path, nibabel image or 3-D array; a 4-D image or array (X, Y, Z, 4) in the order of `modalities`; the path
        of a 4-D Decathlon file.
    modalities
        The order that the model takes them in.
    threads
        Files are read in parallel on up to this many; None is one a file.
    digest
        Find the sha256 of each file, of the bytes that are read.
    incomplete
        Take cases that lack one to three of the modalities too.

    Raises
    ------
    CaseError
        If a modality is missing or given twice, a file or an array is no volume of real numbers, or the four grids
        differ.
    """
    if isinstance(source, Mapping) or (isinstance(source, (str, os.PathLike)) and os.path.isdir(source)):
        name, placed = load_volumes(source, threads=threads, digest=digest, incomplete=incomplete)
    elif isinstance(source, (str, os.PathLike)):
        name, placed = case_name(Path(source)), _split_file(Path(source), digest=digest)
    else:
        name, placed = case_name(), _split(_place(source, "the 4-D input", order=modalities), modalities)
    return _assemble(name, {modality: placed[modality] for modality in modalities if modality in placed})


def load_volumes(
    source: str | os.PathLike[str] | Mapping[str, VolumeSource],
    *,
    threads: int | None = None,
    digest: bool = False,
    incomplete: bool = False,
) -> tuple[str, dict[Modality, PlacedVolume]]:
    """Read each modality of a case folder or a mapping, on whatever grid it lies; and what the case is called.

    Raises
    ------
    CaseError
        If a modality is missing or given twice, or a file or an array is no volume of real numbers.
    """
    if isinstance(source, Mapping):
        sources: Mapping[Modality, VolumeSource] = _by_modality(source, incomplete=incomplete)
        paths = [Path(value) for value in sources.values() if isinstance(value, (str, os.PathLike))]
    else:
        sources, paths = find_volumes(Path(source), incomplete=incomplete), [Path(source)]
    return case_name(*paths), _read_all(sources, threads, digest)


def _by_modality(source: Mapping[str, VolumeSource], *, incomplete: bool) -> dict[Modality, VolumeSource]:
    found: dict[Modality, VolumeSource] = {}
    for key, value in source.items():
        modality = modality_named(key)
        if modality in found:
            raise CaseError(f"the modality {modality} is given twice, the second time as {key!r}; give each once")
        found[modality] = value
    missing = missing_modalities(found, incomplete=incomplete)
    if missing:
        raise CaseError(
            f"no volume for {', '.join(missing)}; the network needs all of {', '.join(MODALITIES)}: {DO_WITHOUT}"
        )
    return found


def _read_all(
    sources: Mapping[Modality, VolumeSource], threads: int | None, digest: bool
) -> dict[Modality, PlacedVolume]:
    """Read files in parallel: inflating and hashing release the GIL."""
    with ThreadPoolExecutor(min(threads or _READERS, _READERS)) as pool:
        futures = {
            modality: pool.submit(_place, value, f"the array of {modality}", digest=digest)
            for modality, value in sources.items()
        }
        return {modality: future.result() for modality, future in futures.items()}


def _split_file(path: Path, *, digest: bool) -> dict[Modality, PlacedVolume]:
    image = read_nifti(path, digest=digest)
    if image.data.ndim != 4:
        raise CaseError(
            f"{path}: one volume of shape {image.data.shape}; expected a case folder or a 4-D Decathlon file: give the "
            "folder that holds the four modalities"
        )
    return _split(_from_nifti(image), DECATHLON_ORDER)


def _split(whole: PlacedVolume, order: Sequence[Modality]) -> dict[Modality, PlacedVolume]:
    volume = whole.volume
    return {
        modality: replace(
            whole, volume=replace(volume, data=_last_axis(volume.data, k), origin=replace(volume.origin, index=k))
        )
        for k, modality in enumerate(order)
    }


def _last_axis(data: NDArray[Any] | DeviceArray, k: int) -> NDArray[Any] | DeviceArray:
    return data.along_last_axis(k) if isinstance(data, DeviceArray) else data[..., k]


def _place(
    value: VolumeSource, source: str, *, order: Sequence[Modality] | None = None, digest: bool = False
) -> PlacedVolume:
    """One volume from a path, an image or an array; with an order, one a modality along a fourth axis."""
    if isinstance(value, (str, os.PathLike)):
        placed = _from_nifti(read_nifti(value, digest=digest))
    elif hasattr(value, "dataobj"):
        return _from_image(value, source, order)
    else:
        array = _as_array(value, source)
        origin = Origin("device_array" if isinstance(array, DeviceArray) else "array")
        placed = PlacedVolume(Volume(array, 1.0, 0.0, source, origin))
    _check_axes(placed.volume.source, placed.volume.data.shape, placed.volume.data.dtype, order)
    return placed


def _check_axes(
    source: str, shape: tuple[int, ...], dtype: np.dtype[Any], order: Sequence[Modality] | None = None
) -> None:
    if order is not None and (len(shape) != 4 or shape[3] != len(order)):
        raise CaseError(f"{source}: shape {shape}; expected (X, Y, Z, 4), the modalities {', '.join(order)}")
    check_volume(source, shape if order is None else shape[:3], dtype)


def _from_nifti(image: NiftiImage) -> PlacedVolume:
    origin = Origin("file", file=image.path, sha256=image.sha256)
    volume = Volume(image.data, image.slope, image.intercept, str(image.path), origin)
    return PlacedVolume(volume, image.affine, image.header)


def _from_image(image: Any, source: str, order: Sequence[Modality] | None) -> PlacedVolume:
    """A nibabel image: unscaled where its file still is at hand, so that slope and intercept apply once, in float64."""
    import nibabel

    source = str(image.get_filename() or source)
    header = image.header if isinstance(image.header, nibabel.Nifti1Header) else None
    proxy = header is not None and nibabel.is_proxy(image.dataobj)
    shape = tuple(image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    dtype = np.dtype(getattr(image.dataobj, "dtype", image.get_data_dtype()))
    _check_axes(source, shape, dtype, order)  # before its file is read
    affine = check_affine(source, np.asarray(image.affine, dtype=np.float64))
    slope, intercept = (float(image.dataobj.slope), float(image.dataobj.inter)) if proxy else (1.0, 0.0)
    try:
        data = np.asanyarray(image.dataobj.get_unscaled() if proxy else image.dataobj)
    except MemoryError:
        raise
    except Exception as fault:  # whatever the image's format raises on a damaged or vanished file
        reason = " ".join(str(fault).split())
        raise CaseError(f"{source}: the image cannot be read ({reason}): copy the file again") from fault
    origin = Origin("image", affine=affine)
    return PlacedVolume(Volume(data.reshape(shape), slope, intercept, source, origin), affine, header)


def _as_array(value: Any, source: str) -> NDArray[Any] | DeviceArray:
    if lies_on_a_gpu(value):
        return device_array(value, source)
    if isinstance(value, np.ma.MaskedArray):
        raise CaseError(f"{source} is a masked array, whose mask would be lost: give its filled(0)")
    if value is None or isinstance(value, (bytes, bool, int, float)):
        raise CaseError(f"{source} is {value!r}; expected a path, a nibabel image or an array")
    to_array: Callable[..., NDArray[Any]] = np.asarray
    try:
        return to_array(value)
    except MemoryError:
        raise
    except Exception as fault:  # an object's own `__array__` raises what it likes
        reason = " ".join(str(fault).split())
        raise CaseError(f"{source} is no array ({reason}); expected a path, a nibabel image or an array") from fault


def _assemble(name: str, placed: Mapping[Modality, PlacedVolume]) -> Case:
    """Check that all volumes lie on one grid, that of the first which says where it lies."""
    reference = next((p for p in placed.values() if p.affine is not None), next(iter(placed.values())))
    shape = reference.volume.data.shape
    for modality, other in placed.items():
        check_unit(other.volume.source, other.header)
        if other.volume.data.shape != shape:
            raise CaseError(
                f"{other.volume.source}: {modality} has shape {other.volume.data.shape}, but "
                f"{reference.volume.source} has {shape}: resample all four onto one grid"
            )
        if other.affine is None or reference.affine is None:
            continue
        distance = grid_distance_mm(reference.affine, other.affine, (shape[0], shape[1], shape[2]))
        if distance > GRID_TOLERANCE_MM:
            raise CaseError(
                f"{other.volume.source}: the affine of {modality} puts voxels {distance:.4g} mm from where "
                f"{reference.volume.source} has them (tolerance {GRID_TOLERANCE_MM} mm): resample all four to one grid"
            )
    affine = np.eye(4) if reference.affine is None else reference.affine
    return Case(name, {modality: p.volume for modality, p in placed.items()}, affine, reference.header)
