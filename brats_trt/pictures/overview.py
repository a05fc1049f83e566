"""The overview of a case in one picture: three planes through the tumour, each modality, and the classes over two.

Any case can be drawn: any orientation, any voxel size, with or without a tumour or a reference. All tiles share one
scale, so lengths compare across them. Radiological convention: the patient's right is on the left.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ..notice import NOTICE
from ..segmentation import Segmentation
from .lettering import draw_letters, fitted, font, one_line
from .orientation import PLANES, Plane
from .palette import BACKGROUND, LINE, QUIET_TEXT, TEXT, TILE, WARNING, Colour
from .scale_bar import draw_scale
from .scene import CELL, Column, Scene, arrange, cropped_slice
from .tiles import draw_classes, draw_grey

GAP, MARGIN = 8, 40
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 40, 26, 22
COLUMN_HEADER, ROW_HEADER, LEGEND = 48, 44, 76
TITLE_BASE, FIRST_LINE, LINE_HEIGHT = 60, 90, 34
STATED_FROM_DEGREES = 1.0


def draw_preview(
    result: Segmentation,
    *,
    title: str | None = None,
    caption: str | None = None,
    reference: NDArray[Any] | None = None,
    footer: str = NOTICE,
) -> Image.Image:
    """Draw a segmented case whose volumes were kept.

    Parameters
    ----------
    title, caption
        The heading and a quieter line under it; None are the case's name, and its volumes, grid and model.
    reference
        (X, Y, Z), a second label map in the result's scheme, drawn instead of the outlines on FLAIR.
    footer
        The last line.

    Returns
    -------
    PIL.Image.Image
        RGB, 2232 pixels wide.

    Raises
    ------
    ValueError
        If the result does not have its case.
    CaseError
        If a volume lies on a GPU, shapes differ, or the affine does not map voxels to millimetres.
    """
    scene = arrange(result, reference)
    heading = [(_caption(result) if caption is None else caption, QUIET_TEXT)]
    heading += [(line, WARNING) for line in _warnings(result)]
    notes = [("Radiological convention: the patient's right is on the left.", QUIET_TEXT)]
    notes += [(line, WARNING) for line in _caveats(scene, result)]
    top = FIRST_LINE + len(heading) * LINE_HEIGHT - LINE_HEIGHT // 4
    width = 2 * MARGIN + len(scene.columns) * (CELL + GAP) - GAP
    height = top + COLUMN_HEADER + sum(ROW_HEADER + scene.cell_height(plane) for plane in PLANES)
    picture = Image.new("RGB", (width, height + LEGEND + (len(notes) + 1) * LINE_HEIGHT), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    name = fitted(draw, one_line(result.name if title is None else title), TITLE_SIZE, width - 2 * MARGIN)
    draw.text((MARGIN, TITLE_BASE), name, font=font(TITLE_SIZE), fill=TEXT, anchor="ls")
    _draw_lines(draw, heading, FIRST_LINE, width - 2 * MARGIN)
    _draw_column_titles(draw, scene, top)
    top += COLUMN_HEADER
    for plane in PLANES:
        top = _draw_row(picture, scene, plane, top)
    _draw_legend(draw, scene, result, top)
    _draw_footer(draw, notes, footer, top + LEGEND)
    return picture


def _caption(result: Segmentation) -> str:
    voxels = " x ".join(str(n) for n in result.labels.shape)
    sizes = " x ".join(f"{size:.3g}" for size in np.linalg.norm(result.affine[:3, :3], axis=0))
    whole, core = (result.volumes_ml[structure] for structure in ("whole_tumour", "tumour_core"))
    tumour = f"Whole tumour {whole:.1f} ml, tumour core {core:.1f} ml; " if whole else ""
    return f"{tumour}{voxels} voxels of {sizes} mm; model {result.model_sha256[:12]}"


def _warnings(result: Segmentation) -> list[str]:
    """The first warning, and how many more there are."""
    more = len(result.warnings) - 1
    counted = f"Warning (and {more} more): " if more > 0 else "Warning: "
    return [counted + text for text in result.warnings[:1]]


def _caveats(scene: Scene, result: Segmentation) -> list[str]:
    """What the letters and the scale do not say by themselves."""
    found = []
    if not scene.stated:
        unknown = "orientation and no voxel size: sides with a ? and the scale are assumed."
        known_size = "orientation: sides with a ? are assumed."
        found.append(f"The input states no {unknown if result.header is None else known_size}")
    if scene.grid.oblique_degrees >= STATED_FROM_DEGREES:
        angle = f"{scene.grid.oblique_degrees:.0f}°"
        found.append(f"Oblique by {angle}: planes are drawn as stored, letters name the patient's nearest axes.")
    if scene.grid.skew_degrees >= STATED_FROM_DEGREES:
        angle = f"{scene.grid.skew_degrees:.0f}°"
        found.append(f"Sheared: the grid's axes, drawn at right angles, are {angle} off them.")
    return found


def _draw_lines(draw: ImageDraw.ImageDraw, lines: list[tuple[str, Colour]], middle: float, width: float) -> None:
    """Lines of text below each other, the first around `middle`."""
    for position, (line, colour) in enumerate(lines):
        text = fitted(draw, one_line(line), SMALL_SIZE, width)
        place = (MARGIN, middle + position * LINE_HEIGHT)
        draw.text(place, text, font=font(SMALL_SIZE), fill=colour, anchor="lm")


def _cell_left(position: int) -> int:
    return MARGIN + position * (CELL + GAP)


def _draw_column_titles(draw: ImageDraw.ImageDraw, scene: Scene, top: int) -> None:
    for position, column in enumerate(scene.columns):
        place = (_cell_left(position) + CELL / 2, top + COLUMN_HEADER / 2)
        draw.text(place, column.title, font=font(TEXT_SIZE), fill=TEXT, anchor="mm")


def _draw_row(picture: Image.Image, scene: Scene, plane: Plane, top: int) -> int:
    """Draw one plane's tiles under a line that names it; returns where the next row begins."""
    draw = ImageDraw.Draw(picture)
    label = f"{plane.name}, {scene.grid.stored_position(plane, scene.slices[plane.axis])}"
    middle = top + ROW_HEADER / 2
    draw.text((MARGIN, middle), label, font=font(SMALL_SIZE), fill=TEXT, anchor="lm")
    begin = MARGIN + draw.textlength(label, font=font(SMALL_SIZE)) + 14
    draw.line([(begin, middle), (picture.width - MARGIN, middle)], fill=LINE, width=1)
    for position, column in enumerate(scene.columns):
        cell = draw_cell(scene, plane, column)
        if position == 0:
            draw_scale(cell, scene.pixels_per_mm)
        picture.paste(cell, (_cell_left(position), top + ROW_HEADER))
    return top + ROW_HEADER + scene.cell_height(plane)


def draw_cell(scene: Scene, plane: Plane, column: Column) -> Image.Image:
    """One slice of one column in the middle of its cell, with the letters at its sides."""
    size, height = scene.size(plane), scene.cell_height(plane)
    index = scene.slices[plane.axis]
    tile = draw_grey(column.underlay.slice(plane, index, scene.window), column.underlay.window, size)
    if column.labels is not None:
        labels = cropped_slice(column.labels, plane, index, scene.window)
        tile = draw_classes(tile, labels, scene.styles, column.overlay)
    cell = Image.new("RGB", (CELL, height), TILE)
    cell.paste(tile, ((CELL - size[0]) // 2, (height - size[1]) // 2))
    draw_letters(cell, scene.letters(plane))
    return cell


def _draw_legend(draw: ImageDraw.ImageDraw, scene: Scene, result: Segmentation, top: int) -> None:
    """A swatch, the name and the volume of each class; or that there is none."""
    middle, left = top + LEGEND / 2, float(MARGIN)
    if not scene.found:
        text = "No tumour found" + (": the planes are the middle ones of the head" if scene.middle else "")
        draw.text((left, middle), text, font=font(TEXT_SIZE), fill=WARNING, anchor="lm")
        return
    for style in scene.styles:
        draw.rounded_rectangle([left, middle - 13, left + 40, middle + 13], radius=4, fill=style.colour)
        text = f"{style.name}  {result.volumes_ml[style.structure]:.1f} ml"
        draw.text((left + 54, middle), text, font=font(TEXT_SIZE), fill=TEXT, anchor="lm")
        left += 54 + draw.textlength(text, font=font(TEXT_SIZE)) + 52


def _draw_footer(draw: ImageDraw.ImageDraw, notes: list[tuple[str, Colour]], footer: str, top: int) -> None:
    """The convention and the caveats on the left, the caller's line on the right."""
    right = draw.im.size[0] - MARGIN
    draw.line([(MARGIN, top), (right, top)], fill=LINE, width=1)
    middle = top + LINE_HEIGHT
    ends = draw.textlength(footer, font=font(SMALL_SIZE))
    draw.text((right, middle), footer, font=font(SMALL_SIZE), fill=QUIET_TEXT, anchor="rm")
    _draw_lines(draw, notes, middle, right - MARGIN - ends - 2 * MARGIN)
