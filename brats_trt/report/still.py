"""A still picture of a case: its axial plane with most tumour, the classes over T1ce, or what there is.

It is the thumbnail of a cohort's page, and what a case's page shows on paper and where a browser cannot draw volumes.
"""

from __future__ import annotations

from PIL import Image

from ..pictures.orientation import PLANES, DisplayGrid, display_grid
from ..pictures.palette import label_styles
from ..pictures.planes import choose_slices, head_window
from ..pictures.png import encode_png
from ..pictures.scene import cropped_slice, kept_case, make_underlay, shown_modality
from ..pictures.tiles import draw_classes, draw_grey
from ..segmentation import Segmentation
from ..spec import Modality

SHOWN: Modality = "t1ce"
THUMBNAIL = 128  # pixels
_AXIAL = PLANES[0]


def draw_still(result: Segmentation, side: int) -> bytes:
    """A PNG whose longer side has `side` pixels; radiological convention, the front at the top.

    Raises
    ------
    ValueError
        If the result does not have its case.
    CaseError
        If a volume lies on a GPU.
    """
    case = kept_case(result)
    grid = display_grid(case.shape, result.affine)
    styles, labels = label_styles(result.label_scheme), grid.turn(result.labels)
    head = grid.turn_box(result.box)
    window = head_window(head, labels.shape, grid.sizes)
    index = choose_slices(labels, head, oedema=styles[-1].value)[_AXIAL.axis]
    underlay = make_underlay(case.volumes[shown_modality(case, SHOWN)], grid, head)
    base = draw_grey(underlay.slice(_AXIAL, index, window), underlay.window, _size(grid, window.shape, side))
    plane = cropped_slice(labels, _AXIAL, index, window)
    return encode_png(draw_classes(base, plane, styles).quantize(128, dither=Image.Dither.NONE))


def _size(grid: DisplayGrid, shape: tuple[int, int, int], side: int) -> tuple[int, int]:
    """Width and height in pixels, in the proportions that they have in mm."""
    width, height = (shape[axis] * grid.sizes[axis] for axis in (_AXIAL.across, _AXIAL.down))
    scale = side / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))
