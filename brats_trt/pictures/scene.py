"""What the picture of a case shows: columns in display order, planes, crop, and the one scale of all tiles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..case import Case, Volume
from ..device_array import DeviceArray
from ..errors import CaseError
from ..geometry import Box, Index3
from ..segmentation import Segmentation
from ..spec import Modality
from .lettering import LETTER_SPACE
from .orientation import PLANES, DisplayGrid, Plane, display_grid, take_slice
from .palette import LabelStyle, label_styles
from .planes import choose_slices, head_window
from .tiles import FILLED, OUTLINED, Overlay, grey_window, sampled

CELL = 352  # pixels across a tile's cell
LEAST_HEIGHT, GREATEST_HEIGHT = 130, 600  # of a cell: letters and scale bar do not meet, a picture fits a page
TITLES: dict[Modality, str] = {"t1": "T1", "t1ce": "T1ce", "t2": "T2", "flair": "FLAIR"}  # in the order of the columns
# What labels are drawn over where a modality is absent, the best first.
_INSTEAD: tuple[Modality, ...] = ("t1ce", "flair", "t2", "t1")


@dataclass(frozen=True, eq=False)
class Underlay:
    """A modality in display order, as stored; `window` are the values drawn as black and as white."""

    data: NDArray[Any]
    slope: float
    intercept: float
    window: tuple[float, float]

    def slice(self, plane: Plane, index: int, window: Box) -> NDArray[np.float64]:
        """The values (rows, columns) of a part of a plane."""
        return scaled(cropped_slice(self.data, plane, index, window), self.slope, self.intercept)


@dataclass(frozen=True, eq=False)
class Column:
    """A column of the picture: a modality, with a label map over it or without one."""

    title: str
    underlay: Underlay
    labels: NDArray[Any] | None = None
    overlay: Overlay = FILLED


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything in display order.

    Attributes
    ----------
    window
        The part of the volume that is drawn.
    slices
        The plane that is drawn along each axis.
    styles
        How the classes are drawn.
    found
        Whether the label map has any tumour.
    middle
        Whether the planes are the middle ones of the head, for want of a tumour.
    stated
        Whether the input says how it lies in the patient.
    """

    grid: DisplayGrid
    columns: tuple[Column, ...]
    window: Box
    slices: Index3
    styles: tuple[LabelStyle, ...]
    found: bool
    middle: bool
    stated: bool

    def size_mm(self, plane: Plane) -> tuple[float, float]:
        """Width and height of a plane's tiles in mm."""
        extents = [n * size for n, size in zip(self.window.shape, self.grid.sizes, strict=True)]
        return extents[plane.across], extents[plane.down]

    @cached_property
    def pixels_per_mm(self) -> float:
        """The one scale of all tiles: the widest fills its cell but for the letters, unless another gets too high."""
        sizes = [self.size_mm(plane) for plane in PLANES]
        widest, highest = max(width for width, _ in sizes), max(height for _, height in sizes)
        return min((CELL - 2 * LETTER_SPACE) / widest, (GREATEST_HEIGHT - 2 * LETTER_SPACE) / highest)

    def size(self, plane: Plane) -> tuple[int, int]:
        """Width and height of a plane's tiles in pixels."""
        width, height = (max(1, round(mm * self.pixels_per_mm)) for mm in self.size_mm(plane))
        return width, height

    def letters(self, plane: Plane) -> tuple[str, str, str, str]:
        """What is written at the left, the right, the top and the bottom of a plane's tiles."""
        mark = "" if self.stated else "?"
        left, right, top, bottom = self.grid.letters(plane)
        return left + mark, right + mark, top + mark, bottom + mark

    def cell_height(self, plane: Plane) -> int:
        """Pixels down a plane's cells, in which the tiles lie with space for letters."""
        return max(LEAST_HEIGHT, self.size(plane)[1] + 2 * LETTER_SPACE)


def arrange(result: Segmentation, reference: NDArray[Any] | None) -> Scene:
    """Turn a segmented case to display order and choose what is drawn.

    The planes go through the tumour that was found, else through that of the reference.

    Raises
    ------
    ValueError
        If the result does not have its case.
    CaseError
        If a volume lies on a GPU, shapes differ, or the affine does not map voxels to millimetres.
    """
    case = kept_case(result)
    grid = display_grid(case.shape, result.affine)
    head = grid.turn_box(result.box)
    underlays = {modality: make_underlay(case.volumes[modality], grid, head) for modality in titles_of(case)}
    filled, outlined = shown_modality(case, "t1ce"), shown_modality(case, "flair")
    labels = grid.turn(result.labels)
    columns = [Column(TITLES[modality], underlay) for modality, underlay in underlays.items()]
    columns.append(Column(f"Segmentation on {TITLES[filled]}", underlays[filled], labels))
    truth = None if reference is None else grid.turn(reference)
    if truth is None:
        columns.append(Column(f"Outlines on {TITLES[outlined]}", underlays[outlined], labels, OUTLINED))
    else:
        columns.append(Column(f"Reference on {TITLES[filled]}", underlays[filled], truth))
    styles, found = label_styles(result.label_scheme), bool(labels.any())
    shown = labels if truth is None or found else truth
    return Scene(
        grid=grid,
        columns=tuple(columns),
        window=head_window(head, shown.shape, grid.sizes),
        slices=choose_slices(shown, head, oedema=styles[-1].value),
        styles=styles,
        found=found,
        middle=not shown.any(),
        stated=states_orientation(result),
    )


def titles_of(case: Case) -> dict[Modality, str]:
    """Titles of the modalities that a case has, in the order of `TITLES`."""
    return {modality: title for modality, title in TITLES.items() if modality in case.volumes}


def shown_modality(case: Case, wanted: Modality) -> Modality:
    """What labels are drawn over: the modality that is wanted, or the best of those that the case has."""
    return next(modality for modality in (wanted, *_INSTEAD) if modality in case.volumes)


def kept_case(result: Segmentation) -> Case:
    """The volumes that a result was made of.

    Raises
    ------
    ValueError
        If the segmenter was not to keep them.
    CaseError
        If one lies on a GPU: nothing is copied quietly.
    """
    if result.case is None:
        raise ValueError(
            "the volumes of this run were not kept, so nothing can be drawn: use Segmenter(keep_volumes=True)"
        )
    for volume in result.case.volumes.values():
        if isinstance(volume.data, DeviceArray):
            raise CaseError(f"{volume.source} lies on a GPU, and a picture needs it on the host: segment a copy there")
    return result.case


def states_orientation(result: Segmentation) -> bool:
    """Whether the affine is one that the input gave, not what arrays or a header without one are taken for."""
    if result.header is None:
        return not np.array_equal(result.affine, np.eye(4))
    return bool(result.header["qform_code"] or result.header["sform_code"])


def scaled(stored: NDArray[Any], slope: float, intercept: float) -> NDArray[np.float64]:
    """Values in scanner units of stored ones."""
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is drawn black
        return np.asarray(stored.astype(np.float64) * slope + intercept)


def cropped_slice(values: NDArray[Any], plane: Plane, index: int, window: Box) -> NDArray[Any]:
    """A part of a plane (rows, columns) of a volume in display order; a view."""
    parts = window.slices
    return take_slice(values, plane, index)[parts[plane.down], parts[plane.across]]


def make_underlay(volume: Volume, grid: DisplayGrid, head: Box) -> Underlay:
    """A modality in display order, windowed by what is seen of the head, a box in that order."""
    data = grid.turn(np.asarray(volume.on_host))
    values = scaled(sampled(data[head.slices]), volume.slope, volume.intercept)
    return Underlay(data, volume.slope, volume.intercept, grey_window(values))
