"""Numbers that resampling leaves exact, and resampling as a matrix."""

from __future__ import annotations

from fractions import Fraction

import numpy as np


def dyadic_softmax(size, *, batch=1, seed=0):
    """(batch, 4, *size) float32: multiples of 1/64 that add up to 1, many of them equal.

    Where weights are multiples of 1/16, three resamplings and a mean of two take 6 + 3 * 4 + 1 bits: exact in float32.
    """
    random = np.random.default_rng(seed)
    drawn = random.multinomial(64, [0.25] * 4, (batch, *size))
    return np.ascontiguousarray(drawn.transpose(0, 4, 1, 2, 3) / 64, np.float32)


def resampling_matrix(inputs, outputs):
    """(outputs, inputs) float64: linear interpolation with end points aligned, from exact fractions."""
    matrix = np.zeros((outputs, inputs))
    for k in range(outputs):
        position = Fraction(k * (inputs - 1), outputs - 1)
        lower = min(int(position), inputs - 2)
        matrix[k, lower] += float(1 - (position - lower))
        matrix[k, lower + 1] += float(position - lower)
    return matrix


def kronecker(sizes_in, sizes_out):
    """The matrix that resamples a volume, laid out in C order."""
    x, y, z = (resampling_matrix(n, m) for n, m in zip(sizes_in, sizes_out, strict=True))
    return np.kron(np.kron(x, y), z)
