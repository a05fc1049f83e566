"""The overview of a case in one PNG: three planes through the tumour, each modality, and the classes over one of them.

Any case can be drawn: any orientation, any voxel size, with or without a tumour or a reference. All tiles share one
scale, so lengths compare across them. Radiological convention: the patient's right is on the left.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ..errors import CaseError
from ..files import write_whole
from ..geometry import voxel_volume_ml
from ..notice import NOTICE
from ..spec import LabelScheme, Modality
from .palette import BACKGROUND, LINE, QUIET_TEXT, TEXT, TILE, WARNING, LabelStyle, label_styles
from .planes import PLANES, DisplayGrid, Plane, brain_window, choose_slices, display_grid, take_slice
from .tiles import draw_classes, draw_grey, draw_letters, draw_scale, font, grey_window

TITLES = {"t1": "T1", "t1ce": "T1ce", "t2": "T2", "flair": "FLAIR"}  # in the order of the columns
UNDERLAYS = ("t1ce", "flair", "t2", "t1")
CELL, GAP, MARGIN = 352, 8, 40
LETTER_SPACE = 20  # on each side of a tile, so that letters meet no tissue
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 34, 21, 18
HEADER, COLUMN_HEADER, ROW_HEADER, LEGEND, FOOTER = 106, 38, 34, 70, 64
OBLIQUE_FROM_DEGREES = 1.0

Volumes = Mapping[str, NDArray[Any]] | Mapping[Modality, NDArray[Any]]


@dataclass(frozen=True)
class _Column:
    """A column of the picture: a modality, with a label map over it or without one."""

    title: str
    volume: NDArray[Any]
    window: tuple[float, float]
    labels: NDArray[Any] | None = None


@dataclass(frozen=True)
class _Scene:
    """Everything in display order, cropped to the brain."""

    grid: DisplayGrid
    columns: tuple[_Column, ...]
    crop: tuple[slice, slice, slice]
    slices: tuple[int, int, int]
    styles: tuple[LabelStyle, ...]

    def size_mm(self, plane: Plane) -> tuple[float, float]:
        """Width and height of a plane's tiles in mm."""
        extents = [(part.stop - part.start) * size for part, size in zip(self.crop, self.grid.sizes, strict=True)]
        return extents[plane.across], extents[plane.down]

    @property
    def pixels_per_mm(self) -> float:
        """The one scale of all tiles: the widest fills its cell, but for the letters."""
        return (CELL - 2 * LETTER_SPACE) / max(self.size_mm(plane)[0] for plane in PLANES)

    def size(self, plane: Plane) -> tuple[int, int]:
        """Width and height of a plane's tiles in pixels."""
        width, height = (max(1, round(mm * self.pixels_per_mm)) for mm in self.size_mm(plane))
        return width, height


def draw_overview(
    volumes: Volumes,
    labels: NDArray[Any],
    affine: NDArray[np.floating],
    *,
    title: str,
    caption: str = "",
    reference: NDArray[Any] | None = None,
    scheme: LabelScheme = "brats",
    footer: str = NOTICE,
) -> Image.Image:
    """Draw a case.

    Parameters
    ----------
    volumes
        Modality name (``t1``, ``t1ce``, ``t2``, ``flair``; one at least) to (X, Y, Z) of one shape, any dtype.
    labels
        (X, Y, Z) label map in ``scheme``.
    affine
        (4, 4), voxel indices to world mm (RAS+).
    title, caption
        The heading and a quieter line under it, such as the Dice.
    reference
        A second label map, drawn in a column of its own.
    scheme
        The meaning of the label values.
    footer
        The last line.

    Raises
    ------
    CaseError
        If there is no known modality, shapes differ or the affine is not invertible.
    """
    scene = _arrange(volumes, labels, affine, reference=reference, scheme=scheme)
    rows = [scene.size(plane)[1] + 2 * LETTER_SPACE for plane in PLANES]
    width = 2 * MARGIN + len(scene.columns) * (CELL + GAP) - GAP
    height = HEADER + COLUMN_HEADER + sum(rows) + len(rows) * ROW_HEADER + LEGEND + FOOTER
    picture = Image.new("RGB", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    draw.text((MARGIN, 26), title, font=font(TITLE_SIZE), fill=TEXT)
    draw.text((MARGIN, 70), caption, font=font(TEXT_SIZE), fill=QUIET_TEXT)
    _draw_column_titles(draw, scene)
    top = HEADER + COLUMN_HEADER
    for plane in PLANES:
        top = _draw_row(picture, scene, plane, top)
    _draw_legend(draw, scene, labels, affine, top + 16)
    _draw_footer(draw, scene, footer, (width, height))
    return picture


def save_picture(picture: Image.Image, path: str | os.PathLike[str]) -> Path:
    """Write a PNG by way of a temporary file and a rename.

    Raises
    ------
    CaseError
        If the file cannot be written.
    """
    target = Path(path)
    write_whole(target, encode_png(picture))
    return target


def encode_png(picture: Image.Image) -> bytes:
    """A picture as the bytes of a PNG."""
    stream = BytesIO()
    picture.save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def _arrange(
    volumes: Volumes,
    labels: NDArray[Any],
    affine: NDArray[np.floating],
    *,
    reference: NDArray[Any] | None,
    scheme: LabelScheme,
) -> _Scene:
    """Turn everything to display order and choose what is drawn."""
    arrays: dict[str, NDArray[Any]] = {str(name): np.asarray(values) for name, values in volumes.items()}
    known = [name for name in TITLES if name in arrays]
    if not known:
        raise CaseError(f"the picture got the modalities {sorted(arrays)}; expected at least one of {list(TITLES)}")
    grid = display_grid(labels.shape, affine)
    turned = {name: grid.turn(arrays[name]) for name in known}
    windows = {name: grey_window(values) for name, values in turned.items()}
    brain = np.any([values > 0 for values in turned.values()], axis=0)
    found = grid.turn(labels)
    under = next(name for name in UNDERLAYS if name in turned)
    columns = [_Column(TITLES[name], turned[name], windows[name]) for name in known]
    columns.append(_Column(f"Segmentation on {TITLES[under]}", turned[under], windows[under], found))
    if reference is not None:
        columns.append(_Column(f"Reference on {TITLES[under]}", turned[under], windows[under], grid.turn(reference)))
    styles = label_styles(scheme)
    shown = found if reference is None or (found > 0).any() else grid.turn(reference)
    slices = choose_slices(shown, brain, oedema=styles[2].value)
    return _Scene(grid, tuple(columns), brain_window(brain, grid.sizes), slices, styles)


def _cell_left(position: int) -> int:
    return MARGIN + position * (CELL + GAP)


def _draw_column_titles(draw: ImageDraw.ImageDraw, scene: _Scene) -> None:
    for position, column in enumerate(scene.columns):
        place = (_cell_left(position) + CELL / 2, HEADER + COLUMN_HEADER / 2)
        draw.text(place, column.title, font=font(TEXT_SIZE), fill=TEXT, anchor="mm")


def _draw_row(picture: Image.Image, scene: _Scene, plane: Plane, top: int) -> int:
    """Draw one plane's tiles under a line that names it; returns where the next row begins."""
    draw = ImageDraw.Draw(picture)
    index = scene.slices[plane.axis]
    label = f"{plane.name}, {scene.grid.stored_position(plane, index)}"
    draw.text((MARGIN, top + ROW_HEADER / 2), label, font=font(SMALL_SIZE), fill=QUIET_TEXT, anchor="lm")
    begin = MARGIN + draw.textlength(label, font=font(SMALL_SIZE)) + 14
    draw.line([(begin, top + ROW_HEADER / 2), (picture.width - MARGIN, top + ROW_HEADER / 2)], fill=LINE, width=1)
    size = scene.size(plane)
    for position, column in enumerate(scene.columns):
        cell = Image.new("RGB", (CELL, size[1] + 2 * LETTER_SPACE), TILE)
        cell.paste(_draw_tile(scene, plane, column, size), ((CELL - size[0]) // 2, LETTER_SPACE))
        draw_letters(cell, scene.grid.letters(plane))
        if position == 0:
            draw_scale(cell, scene.pixels_per_mm)
        picture.paste(cell, (_cell_left(position), top + ROW_HEADER))
    return top + ROW_HEADER + size[1] + 2 * LETTER_SPACE


def _draw_tile(scene: _Scene, plane: Plane, column: _Column, size: tuple[int, int]) -> Image.Image:
    """One slice of one column."""
    region = (scene.crop[plane.down], scene.crop[plane.across])
    index = scene.slices[plane.axis]
    tile = draw_grey(take_slice(column.volume, plane, index)[region], column.window, size)
    if column.labels is None:
        return tile
    return draw_classes(tile, take_slice(column.labels, plane, index)[region], scene.styles)


def _draw_legend(
    draw: ImageDraw.ImageDraw, scene: _Scene, labels: NDArray[Any], affine: NDArray[np.floating], top: int
) -> None:
    """A swatch, the name and the volume of each class; or that there is none."""
    middle, left = top + LEGEND / 2 - 8, float(MARGIN)
    if not (labels > 0).any():
        draw.text((left, middle), "No tumour found", font=font(TEXT_SIZE), fill=WARNING, anchor="lm")
        return
    millilitres = voxel_volume_ml(np.asarray(affine, dtype=np.float64))
    for style in scene.styles:
        draw.rounded_rectangle([left, middle - 11, left + 34, middle + 11], radius=4, fill=style.colour)
        text = f"{style.name}  {np.count_nonzero(labels == style.value) * millilitres:.1f} ml"
        draw.text((left + 46, middle), text, font=font(TEXT_SIZE), fill=TEXT, anchor="lm")
        left += 46 + draw.textlength(text, font=font(TEXT_SIZE)) + 44


def _draw_footer(draw: ImageDraw.ImageDraw, scene: _Scene, footer: str, size: tuple[int, int]) -> None:
    """The convention on the left, the caller's line on the right."""
    convention = "Radiological convention: the patient's right is on the left."
    if scene.grid.oblique_degrees >= OBLIQUE_FROM_DEGREES:
        convention += f" The scan is {scene.grid.oblique_degrees:.0f}° oblique; letters name the nearest axes."
    line, baseline = size[1] - FOOTER, size[1] - FOOTER / 2
    draw.line([(MARGIN, line), (size[0] - MARGIN, line)], fill=LINE, width=1)
    draw.text((MARGIN, baseline), convention, font=font(SMALL_SIZE), fill=QUIET_TEXT, anchor="lm")
    draw.text((size[0] - MARGIN, baseline), footer, font=font(SMALL_SIZE), fill=QUIET_TEXT, anchor="rm")
