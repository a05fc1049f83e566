"""The Open Model Zoo demo's way gives what the oracle gives: it is the same job that `benchmarks/peers.py` times."""

from __future__ import annotations

import numpy as np
import oracle
import zoo_stages

SIZE = (16, 20, 12)


def volumes():
    """Four heads of their own extents in a frame of zeros."""
    random = np.random.default_rng(4)
    frames = [np.zeros((21, 26, 19), np.int16, order="F") for _ in range(4)]
    for shift, frame in enumerate(frames):
        frame[2 + shift : 17, 3 : 20 + shift, 1:15] = random.integers(1, 900, (15 - shift, 17 + shift, 14))
    return frames


def test_the_crop_and_the_box_are_the_oracles():
    found, box = zoo_stages.prepare(volumes(), SIZE)
    expected, corners = oracle.prepare(volumes(), SIZE)
    assert np.array_equal(box, corners)
    assert found.shape == (1, 4, *SIZE)
    assert np.ptp(expected) > 0.5
    assert np.abs(found - expected).max() < 2e-6  # mean and variance of float32 values, in float32


def test_the_label_map_is_the_oracles():
    _, box = oracle.prepare(volumes(), SIZE)
    softmax = np.random.default_rng(5).random((1, 4, *SIZE), np.float32)
    shape = volumes()[0].shape
    found = zoo_stages.restore(softmax, tuple(map(np.array, box)), shape)
    assert found.dtype == np.uint8
    assert set(np.unique(found)) == {0, 1, 2, 4}
    assert (found != oracle.restore(softmax, box, shape)).sum() <= 1  # a tie that float32 rounds the other way
