from __future__ import annotations

import numpy as np
import oracle
import pytest
from tolerances import ARGMAX_TIE

from brats_trt import _host

VALUES = (0, 1, 2, 4)
BOXES = [
    ((3, 4, 5), (20, 25, 26)),
    ((0, 0, 0), (14, 27, 30)),
    ((10, 12, 1), (28, 31, 28)),
    ((2, 2, 2), (4, 30, 5)),
]
SHAPE = (30, 32, 31)


def softmax(size=(12, 13, 14), batch=1, seed=0):
    """Smooth enough to make regions, random enough to make every class win somewhere."""
    random = np.random.default_rng(seed)
    scores = random.standard_normal((batch, 4, *size))
    for axis in (2, 3, 4):
        scores = scores + np.roll(scores, 1, axis)
    exponentials = np.exp(scores)
    return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)


def scatter(probabilities, box, *, order="F", shape=SHAPE, values=VALUES):
    labels = np.full(shape, 99, np.uint8, order=order)
    counts, tumour = _host.scatter(probabilities, box, labels, values=values)
    return labels, counts, tumour


def comparable(probabilities, box):
    """Voxels of the box that are neither argmax ties nor on a last plane that SciPy zeroes."""
    restored = oracle.restore_probabilities(probabilities, box)
    second, first = np.sort(restored, axis=0)[-2:]
    clear = np.zeros(first.shape, bool)
    kept = oracle.unclamped(probabilities.shape[2:], first.shape)
    clear[kept] = (first - second > ARGMAX_TIE)[kept]
    full = np.ones(SHAPE, bool)
    full[tuple(slice(a, b) for a, b in zip(*box, strict=True))] = clear
    return full


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("box", BOXES)
def test_labels_equal_scipy_but_for_ties(box, order, batch):
    probabilities = softmax(batch=batch)
    labels, _, _ = scatter(probabilities, box, order=order)
    compared = comparable(probabilities, box)
    assert compared.mean() > 0.8
    assert np.array_equal(labels[compared], oracle.restore(probabilities, box, SHAPE)[compared])


def test_every_size_that_scipy_clamps_keeps_its_last_plane():
    sizes = [n for n in range(2, 200) if oracle.zeroed_last_planes((128,), (n,))[0]]
    assert sizes[:4] == [14, 27, 46, 53], "as the model's contract lists them"
    n = sizes[0]
    probabilities = np.zeros((1, 4, 128, 2, 2), np.float32)
    probabilities[:, 3] = 1
    labels, counts, tumour = scatter(probabilities, ((0, 0, 0), (n, 2, 2)), shape=(n, 2, 2))
    assert (oracle.restore(probabilities, ((0, 0, 0), (n, 2, 2)), (n, 2, 2))[-1] == 0).all()
    assert (labels == 4).all()
    assert (counts, tumour) == ((0, 0, 0, 4 * n), ((0, 0, 0), (n, 2, 2)))


def test_restoring_a_whole_number_of_steps_repeats_the_original_samples():
    size = (5, 6, 7)
    probabilities = softmax(size)
    extent = tuple(3 * (n - 1) + 1 for n in size)
    labels, _, _ = scatter(probabilities, ((0, 0, 0), extent), shape=extent)
    assert np.array_equal(labels[::3, ::3, ::3], np.asarray(VALUES)[probabilities[0].argmax(axis=0)])


@pytest.mark.parametrize("values", [(0, 1, 2, 3), (0, 2, 1, 3), (5, 6, 7, 8)])
def test_counts_and_box_are_those_of_the_labels(values):
    labels, counts, tumour = scatter(softmax(), BOXES[0], values=values)
    assert counts == tuple((labels == value).sum() for value in values)
    inside = np.argwhere(labels != values[0])
    assert tumour == (tuple(inside.min(axis=0)), tuple(inside.max(axis=0) + 1))


def test_a_tumour_of_one_voxel_is_found():
    probabilities = np.zeros((1, 4, 6, 6, 6), np.float32)
    probabilities[:, 0] = 1
    probabilities[0, :, 2, 3, 4] = 0, 0, 1, 0
    labels, counts, tumour = scatter(probabilities, ((1, 1, 1), (7, 7, 7)))
    assert (counts[2], tumour) == (1, ((3, 4, 5), (4, 5, 6)))
    assert labels[3, 4, 5] == 2


def test_the_mean_of_a_mirrored_pair_is_symmetric():
    single = softmax((8, 8, 8))[0]
    pair = np.stack([single, single])
    labels, _, _ = scatter(pair, ((0, 0, 0), (16, 16, 16)), shape=(16, 16, 16))
    assert np.array_equal(labels, labels[:, ::-1])


def test_views_of_any_stride_are_written_where_they_point():
    backing = np.full((2 * 30, 32, 2 * 31), 99, np.uint8)
    view = backing[::2, ::-1, ::2]
    _host.scatter(softmax(), BOXES[0], view, values=VALUES)
    expected, _, _ = scatter(softmax(), BOXES[0])
    assert np.array_equal(view, expected)
    assert (backing[1::2] == 99).all()
    assert (backing[:, :, 1::2] == 99).all()


def test_probabilities_that_are_not_finite_are_refused():
    probabilities = softmax()
    probabilities[0, 3, 5, 5, 5] = np.nan
    with pytest.raises(_host.NotFiniteError, match="not finite"):
        scatter(probabilities, BOXES[0])


@pytest.mark.parametrize("bad", [np.zeros((30, 32), np.uint8), np.zeros(SHAPE, np.int16)])
def test_scatter_refuses_a_label_map_of_another_kind(bad):
    with pytest.raises(ValueError, match="writable 3-D uint8"):
        _host.scatter(softmax(), BOXES[0], bad, values=VALUES)


def test_scatter_refuses_a_box_outside_the_label_map():
    with pytest.raises(ValueError, match="outside"):
        scatter(softmax(), ((0, 0, 0), (31, 5, 5)))
