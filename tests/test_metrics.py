from __future__ import annotations

import numpy as np
import pytest

from brats_trt.metrics import dice

BRATS = (0, 1, 2, 4)


def test_dice_of_a_map_with_itself_is_one():
    labels = np.array([[0, 1, 2, 4]])
    assert set(dice(labels, labels, label_values=BRATS).values()) == {1.0}


def test_dice_counts_structures_by_their_classes():
    prediction = np.array([1, 1, 2, 4, 0, 0])
    reference = np.array([1, 4, 2, 4, 4, 0])
    scores = dice(prediction, reference, label_values=BRATS)
    assert scores == pytest.approx(
        {"whole tumour": 8 / 9, "tumour core": 6 / 7, "enhancing": 2 / 4, "necrotic": 2 / 3, "oedema": 1.0}
    )


def test_dice_of_two_empty_structures_is_one_and_of_one_empty_is_zero():
    empty, full = np.zeros(3, int), np.full(3, 2)
    assert dice(empty, empty, label_values=BRATS)["oedema"] == 1.0
    assert dice(empty, full, label_values=BRATS)["oedema"] == 0.0


def test_dice_refuses_two_grids():
    with pytest.raises(ValueError, match="one grid"):
        dice(np.zeros(3, int), np.zeros(4, int), label_values=BRATS)
