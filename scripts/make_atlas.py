"""Make brats_trt/demo/data/icbm152_2mm.npz: the ICBM 2009a head, small enough to travel with the package.

Input: the three 1 mm maps in nilearn's wheel (T1, grey and white matter, uint8, RAS+ with diagonal affine), the T1
already without its skull. Output: the same at 2 mm as means of 2x2x2 blocks, cropped to the brain, uint8.
Run with nilearn installed: ``python scripts/make_atlas.py``. The licence of the maps is in the data folder's NOTICE.md.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

BLOCK = 2
MARGIN = 2  # blocks of zeros kept around the brain, so that interpolation never meets the edge
TARGET = Path(__file__).resolve().parents[1] / "brats_trt" / "demo" / "data" / "icbm152_2mm.npz"
FILE_NAME = "mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"


def nilearn_data() -> Path:
    """The folder of nilearn's own maps, found without importing nilearn."""
    found = importlib.util.find_spec("nilearn")
    if found is None or found.origin is None:
        raise SystemExit("nilearn is not installed; it carries the maps: `pip install nilearn`, then run this again")
    return Path(found.origin).parent / "datasets" / "data"


def read_map(folder: Path, kind: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One map (X, Y, Z) in 0..255 and its affine (mm)."""
    image = nib.Nifti1Image.from_filename(folder / FILE_NAME.format(kind=kind))
    return np.asanyarray(image.dataobj).astype(np.float64), np.asarray(image.affine)


def block_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of 2x2x2 blocks; a last odd plane is left out."""
    x, y, z = (n // BLOCK for n in values.shape)
    blocks = values[: x * BLOCK, : y * BLOCK, : z * BLOCK].reshape(x, BLOCK, y, BLOCK, z, BLOCK)
    return np.asarray(blocks.mean(axis=(1, 3, 5)))


def fill_outwards(values: NDArray[np.float64], known: NDArray[np.bool_], layers: int) -> NDArray[np.float64]:
    """Give the voxels around the known ones the mean of their known neighbours, so that interpolation meets no step."""
    values, known = np.where(known, values, 0.0), known.astype(np.float64)
    for _ in range(layers):
        total, count = values.copy(), known.copy()
        for axis in range(3):
            total = total + np.roll(total, 1, axis) + np.roll(total, -1, axis)
            count = count + np.roll(count, 1, axis) + np.roll(count, -1, axis)
        values = np.where(known > 0, values, total / np.maximum(count, 1))
        known = np.asarray(count > 0, dtype=np.float64)
    return values


def shrink(folder: Path) -> dict[str, NDArray[np.generic]]:
    """The four maps at 2 mm (uint8) with their affine (float64, mm)."""
    t1, affine = read_map(folder, "t1")
    coverage = block_means((t1 > 0).astype(np.float64))
    # Means over the brain's voxels only: the edge keeps its grey value, and coverage says where it ends.
    t1_inside = np.pad(block_means(t1) / np.maximum(coverage, 1e-9), MARGIN)
    maps = {
        "grey": block_means(read_map(folder, "gm")[0]),
        "white": block_means(read_map(folder, "wm")[0]),
        "brain": coverage * 255,
    }
    inside = np.argwhere(coverage > 0)
    maps = {name: np.pad(values, MARGIN) for name, values in maps.items()}
    maps = {"t1": fill_outwards(t1_inside, np.pad(coverage > 0.25, MARGIN), MARGIN), **maps}
    lower, upper = inside.min(axis=0), inside.max(axis=0) + 1 + 2 * MARGIN
    window = tuple(slice(int(first), int(last)) for first, last in zip(lower, upper, strict=True))
    first_centre = (lower - MARGIN) * BLOCK + (BLOCK - 1) / 2
    small = affine @ np.diag([BLOCK, BLOCK, BLOCK, 1.0])
    small[:3, 3] = (affine @ [*first_centre, 1.0])[:3]
    packed: dict[str, NDArray[np.generic]] = {
        name: np.clip(np.rint(values[window]), 0, 255).astype(np.uint8) for name, values in maps.items()
    }
    return {**packed, "affine": small}


def main() -> None:
    """Write the atlas and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=TARGET)
    output: Path = parser.parse_args().output
    arrays = shrink(nilearn_data())
    output.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(output, **arrays)  # type: ignore[arg-type]
    print(f"{output}: {arrays['t1'].shape} at {BLOCK} mm, {output.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
