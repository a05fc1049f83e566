"""The box plot: what a box shows, what an axis spans, and pictures of evaluations of all kinds."""

from __future__ import annotations

from itertools import combinations, pairwise
from math import inf, nan
from pathlib import Path

import colour_vision
import numpy as np
import pytest
from blobs import affine, classes
from hypothesis import given, settings
from hypothesis import strategies as st

from brats_trt.evaluation import CaseScores, Evaluation, Options
from brats_trt.evaluation.axis import make_axis, make_box
from brats_trt.evaluation.box_plot import TUMOUR_CORE, WHOLE_TUMOUR, draw_box_plot
from brats_trt.evaluation.pairing import Pair, Pairing
from brats_trt.evaluation.scores import Scores, score
from brats_trt.metrics import STRUCTURES

VALUES = st.lists(st.floats(-1000, 1000).map(lambda value: round(value, 6)), min_size=1, max_size=40)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_a_box_is_ordered_and_its_whiskers_hold_the_box(values):
    box = make_box([*values, nan])
    lower, median, upper = box.quartiles
    assert min(values) <= box.whiskers[0] <= lower <= median <= upper <= box.whiskers[1] <= max(values)
    assert len(box.values) == len(values)
    assert box.quartiles == pytest.approx(tuple(np.percentile(values, (25, 50, 75))))


def test_whiskers_leave_out_outliers():
    assert make_box([1, 2, 3, 4, 100]).whiskers == (1, 4)
    assert make_box([nan]) is None


@settings(max_examples=200, deadline=None)
@given(st.lists(VALUES, max_size=5), st.booleans(), st.sampled_from([0.01, 1.0, 50.0]))
def test_an_axis_holds_every_whisker_and_has_a_few_round_ticks(sets, with_zero, least_span):
    boxes = [make_box(values) for values in sets]
    axis = make_axis(boxes, (-inf, inf), least_span, with_zero=with_zero)
    assert all(axis.lower <= end <= axis.upper for box in boxes for end in box.whiskers)
    assert not with_zero or axis.lower <= 0 <= axis.upper
    assert axis.upper - axis.lower >= least_span
    assert 4 <= len(axis.ticks) <= 13
    assert len({axis.tick_label(tick) for tick in axis.ticks}) == len(axis.ticks), "ticks read apart"
    assert all(axis.lower <= tick <= axis.upper for tick in axis.ticks)
    steps = [after - before for before, after in pairwise(axis.ticks)]
    assert steps == pytest.approx([steps[0]] * len(steps))


def test_a_share_has_no_ticks_above_one():
    axis = make_axis([make_box([0.97, 0.99, 1.0])], (0.0, 1.0), 0.05, with_zero=False)
    assert max(axis.ticks) == pytest.approx(1.0)
    assert axis.upper < 1.01


def test_far_outliers_do_not_flatten_the_axis():
    near = make_axis([make_box([1, 2, 3, 4, 5, 9])], (0.0, inf), 4.0, with_zero=True)
    assert near.upper >= 9, "a near one is on it"
    assert make_axis([make_box([1, 2, 3, 4, 5, 373])], (0.0, inf), 4.0, with_zero=True).upper < 10


def evaluation(cases):
    pairs = [Pair(f"P{index}", Path("a"), Path("b")) for index in range(len(cases))]
    scored = tuple(CaseScores(pair, scores) for pair, scores in zip(pairs, cases, strict=True))
    return Evaluation(scored, Pairing(tuple(pairs)), Options())


def pixels(cases):
    return np.asarray(draw_box_plot(evaluation(cases))).astype(int)


def test_an_evaluation_is_drawn_with_each_structure_in_its_colour():
    picture = pixels([score(classes(seed), classes(seed + 50), affine()) for seed in range(4)])
    for colour in (WHOLE_TUMOUR, TUMOUR_CORE):
        assert (np.abs(picture - np.array(colour)).max(axis=-1) < 12).sum() > 200


@pytest.mark.parametrize("n", [1, 2, 60])
def test_any_number_of_cases_is_drawn_at_one_size(n):
    assert pixels([score(classes(0), classes(1), affine())] * n).shape == (pixels([]).shape)


def test_scores_that_do_not_count_leave_an_empty_panel():
    nothing = Scores(nan, nan, nan, nan, nan, nan, 0.0, 0.0)
    blank = pixels([dict.fromkeys(STRUCTURES, nothing)])
    coloured = np.ptp(blank, axis=-1) > 40
    assert not coloured.any(), "no box, no point"


@pytest.mark.parametrize("dichromacy", [None, *colour_vision.DICHROMACIES])
def test_the_regions_colours_can_be_told_apart_with_any_colour_vision(dichromacy):
    from brats_trt.evaluation.box_plot import STRUCTURE_COLOURS

    for first, second in combinations(STRUCTURE_COLOURS.values(), 2):
        assert colour_vision.distance(first, second, dichromacy) > 15
