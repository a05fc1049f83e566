"""What others published for the released brain-tumor-segmentation-0001: on their data, by their code, not by ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PUBLISHED_NOTICE = "Published by others for the released model, on their data: not measured here."


@dataclass(frozen=True)
class PublishedDice:
    """One row of a publication.

    Attributes
    ----------
    source, data
        Who published it, on which cases.
    short
        Both, for a table's first column.
    dice
        Mean Dice by structure, as far as it was published.
    """

    source: str
    data: str
    short: str
    dice: Mapping[str, float]


# The card's "overall" is taken for the whole tumour.
PUBLISHED = (
    PublishedDice(
        "model card",
        "Decathlon, training cases",
        "card, Decathlon",
        {"whole tumour": 0.924, "enhancing": 0.727, "necrotic": 0.715, "oedema": 0.821},
    ),
    PublishedDice(
        "the model's authors",
        "BraTS 2018, validation",
        "BraTS 2018 valid.",
        {"whole tumour": 0.906, "tumour core": 0.844, "enhancing": 0.784},
    ),
    PublishedDice(
        "the model's authors",
        "BraTS 2018, test",
        "BraTS 2018 test",
        {"whole tumour": 0.878, "tumour core": 0.795, "enhancing": 0.720},
    ),
)
