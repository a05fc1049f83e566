"""Pictures of segmented cases: three planes, the modalities, the classes over them, in radiological convention.

Importing this package imports Pillow.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..files import write_whole
from ..segmentation import Segmentation
from .overview import draw_preview
from .png import check_png_target, encode_png

__all__ = ["draw_preview", "save_preview"]


def save_preview(result: Segmentation, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Draw a segmented case as a PNG, written by a temporary file and a rename, with the record of its run.

    Parameters
    ----------
    result
        Of a segmenter with `keep_volumes=True`, from volumes on the host.

    Raises
    ------
    ValueError
        If the result does not have its case.
    CaseError
        If the path is not .png, exists without `overwrite`, or cannot be written; or if a volume lies on a GPU, which
        is not copied quietly.
    """
    target = Path(path)
    check_png_target(target, overwrite=overwrite)
    record = None if result.provenance is None else result.record
    write_whole(target, encode_png(draw_preview(result), record))
