"""The pictures' colours, as sRGB triples.

The three classes are Okabe and Ito's vermilion, yellow and sky blue ("Color universal design", 2008): they differ in
hue under each kind of colour blindness and in lightness, so that a grey print still separates them.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..spec import LABEL_VALUES, LabelScheme

Colour = tuple[int, int, int]

BACKGROUND: Colour = (13, 15, 18)
TILE: Colour = (0, 0, 0)
TEXT: Colour = (236, 239, 243)
QUIET_TEXT: Colour = (160, 168, 178)
LINE: Colour = (52, 58, 66)
WARNING: Colour = (240, 228, 66)

NECROTIC: Colour = (213, 94, 0)
OEDEMA: Colour = (86, 180, 233)
ENHANCING: Colour = (240, 228, 66)


@dataclass(frozen=True)
class LabelStyle:
    """How a class is named and drawn: `structure` names it in a result, `value` is its value in the label map."""

    structure: str
    value: int
    name: str
    colour: Colour


def label_styles(scheme: LabelScheme) -> tuple[LabelStyle, LabelStyle, LabelStyle]:
    """The classes from the inside outwards: necrotic core, enhancing tumour, oedema."""
    _, necrotic, oedema, enhancing = LABEL_VALUES[scheme]
    return (
        LabelStyle("necrotic", necrotic, "Necrotic core", NECROTIC),
        LabelStyle("enhancing", enhancing, "Enhancing tumour", ENHANCING),
        LabelStyle("oedema", oedema, "Oedema", OEDEMA),
    )
