"""Left and right: whether the header's two statements about them agree.

NIfTI has two, the qform (a rotation) and the sform (any affine), each with a code that is above zero where it counts.
Programs differ in which they prefer. Source: nifti1.h, "3D image (volume) orientation and location in space".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .evidence import Evidence
from .finding import Finding

CODE = "left-right-ambiguous"
# Degrees between where qform and sform send an array axis: an alignment to a template turns a head by less.
MOST_DEGREES = 30.0


def find_ambiguous_sides(evidence: Evidence) -> Finding | None:
    """Report a qform and an sform that disagree, or that neither is set; silent where there is no NIfTI header.

    The header is that of the reference image, which the label map inherits.
    """
    header = evidence.case.header
    if header is None:
        return None
    codes = int(header["qform_code"]), int(header["sform_code"])
    if max(codes) <= 0:
        return _finding(
            evidence,
            "neither qform nor sform is set in the header, so that left and right are a guess: export the series again "
            "with its orientation",
        )
    if min(codes) <= 0:
        return None
    qform = _qform(header)
    if qform is None:
        return _finding(
            evidence,
            "the qform is set but not readable, and programs that prefer it will misplace the head: "
            "export the series again",
        )
    return _compare(evidence, qform, np.asarray(header.get_sform(), np.float64))


def _qform(header: object) -> NDArray[np.float64] | None:
    from nibabel.spatialimages import HeaderDataError

    try:
        with np.errstate(all="ignore"):
            qform = np.asarray(header.get_qform(), np.float64)  # type: ignore[attr-defined]
    except (HeaderDataError, ValueError, np.linalg.LinAlgError):
        return None
    usable = bool(np.isfinite(qform).all()) and np.linalg.det(qform[:3, :3]) != 0.0
    return qform if usable else None


def _compare(evidence: Evidence, qform: NDArray[np.float64], sform: NDArray[np.float64]) -> Finding | None:
    mirrored = np.linalg.det(qform[:3, :3]) * np.linalg.det(sform[:3, :3]) < 0
    first, second = (matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0) for matrix in (qform, sform))
    degrees = float(np.degrees(np.arccos(np.clip((first * second).sum(axis=0).min(), -1.0, 1.0))))
    if not mirrored and degrees <= MOST_DEGREES:
        return None
    import nibabel

    letters = ["".join(nibabel.aff2axcodes(matrix)) for matrix in (qform, sform)]
    return _finding(
        evidence,
        f"qform ({letters[0]}) and sform ({letters[1]}) send an array axis up to {degrees:.0f} degrees apart"
        f"{', one mirrored to the other' if mirrored else ''}, so that programs differ in where left is: find out "
        "which one is right and write both alike",
    )


def _finding(evidence: Evidence, text: str) -> Finding:
    return Finding(CODE, f"{evidence.name}: {text}")
