"""Rigid registration of one series onto another by mutual information, with SimpleITK, an extra.

Both are sampled on grids of 2 mm along the patient's axes first, whatever their own grids are, so that thick slices and
large matrices take the same time; a tenth of such a voxel is what the optimum is found to.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError
from ..geometry import Affine
from ..resampling import patient_grid, resampled
from ..volume import Volume

_STEP_MM = 2.0
_BINS = 48
_SHRINK, _SMOOTH_MM = (4, 2, 1), (4.0, 2.0, 0.0)
_SHARE, _SEED = 0.25, 1  # of the voxels that are looked at, drawn alike each time
_STEPS = 200
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Motion:
    """How a head moved between two series.

    Attributes
    ----------
    matrix
        (4, 4) float64, RAS millimetres: from a place in the fixed series to the same place of the head in the moving.
    shift_mm
        How far the middle of the head moved.
    angle_deg
        How far it turned.
    """

    matrix: NDArray[np.float64]
    shift_mm: float
    angle_deg: float


def register(fixed: Volume, fixed_affine: Affine, moving: Volume, moving_affine: Affine, *, threads: int = 0) -> Motion:
    """Find the motion between two series of one head.

    Raises
    ------
    CaseError
        If SimpleITK is not installed, or the two series do not overlap.
    """
    itk = _simpleitk()
    target, source = (
        _image(itk, volume, affine, threads) for volume, affine in ((fixed, fixed_affine), (moving, moving_affine))
    )
    middle = _middle(itk, target)
    start = itk.Euler3DTransform()
    start.SetCenter(middle)
    try:
        found = _method(itk, start).Execute(target, source)
    except RuntimeError as fault:
        reason = " ".join(str(fault).split())[-200:]
        raise CaseError(
            f"{moving.source} cannot be registered to {fixed.source} ({reason}): are both of one head?"
        ) from None
    return _motion(found, np.array(middle))


def _simpleitk() -> Any:
    try:
        return import_module("SimpleITK")
    except ModuleNotFoundError:
        raise CaseError(
            "--align rigid needs SimpleITK, which is not installed: pip install 'brats-trt[register]', or "
            "--align header"
        ) from None


def _image(itk: Any, volume: Volume, affine: Affine, threads: int) -> Any:
    """A volume on a grid of 2 mm along the patient's axes, in SimpleITK's LPS; its arrays have axes z, y, x too."""
    x, y, z = volume.data.shape
    grid, shape = patient_grid(affine, (x, y, z), _STEP_MM)
    values = resampled(volume, affine, grid, shape, threads=threads)
    image = itk.GetImageFromArray(values)
    image.SetSpacing([_STEP_MM] * 3)
    image.SetOrigin((_LPS @ grid)[:3, 3].tolist())
    return image


def _middle(itk: Any, image: Any) -> list[float]:
    """The centre of brightness, which motion is told about."""
    values = itk.GetArrayViewFromImage(image)
    total = float(values.sum(dtype=np.float64))
    if not total > 0:
        return [float(v) for v in image.TransformContinuousIndexToPhysicalPoint([n / 2 for n in image.GetSize()])]
    z, y, x = (
        float(
            values.sum(axis=tuple(a for a in range(3) if a != axis), dtype=np.float64) @ np.arange(values.shape[axis])
        )
        / total
        for axis in range(3)
    )
    return [float(v) for v in image.TransformContinuousIndexToPhysicalPoint([x, y, z])]


def _method(itk: Any, start: Any) -> Any:
    method = itk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(_SHARE, _SEED)
    method.SetInterpolator(itk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, _STEPS, relaxationFactor=0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(_SHRINK)
    method.SetSmoothingSigmasPerLevel(_SMOOTH_MM)
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(start, inPlace=False)
    return method


def _motion(found: Any, middle: NDArray[np.float64]) -> Motion:
    origin = np.array(found.TransformPoint([0.0, 0.0, 0.0]))
    columns = [np.array(found.TransformPoint(list(axis))) - origin for axis in np.eye(3)]
    matrix = np.eye(4)
    matrix[:3, :3] = np.column_stack(columns)
    matrix[:3, 3] = origin
    shift = float(np.linalg.norm(matrix[:3, :3] @ middle + matrix[:3, 3] - middle))
    angle = float(np.degrees(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1))))
    return Motion(_LPS @ matrix @ _LPS, shift, angle)
