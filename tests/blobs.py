"""Made-up structures and the affines that they are measured in."""

from __future__ import annotations

import numpy as np

SHAPE = (28, 32, 26)


def blob(seed, shape=SHAPE):
    """A union of three ellipsoids, well inside the grid."""
    random = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    mask = np.zeros(shape, bool)
    for _ in range(3):
        centre, size = random.uniform(-0.35, 0.35, (3, 1, 1, 1)), random.uniform(0.15, 0.4, (3, 1, 1, 1))
        mask |= (((grid - centre) / size) ** 2).sum(axis=0) < 1
    return mask


def classes(seed, shape=SHAPE):
    """A class map with all four classes, nested as in a tumour."""
    whole, core, rim = blob(seed, shape), blob(seed + 1000, shape), blob(seed + 2000, shape)
    found = np.zeros(shape, np.uint8)
    found[whole] = 2
    found[core] = 3
    found[core & rim] = 1
    return found


def affine(spacing=(1.0, 1.0, 1.0), *, turn=None, shear=0.0):
    """Voxels of these sizes in mm, sheared along x by y and turned."""
    matrix = np.eye(4)
    sheared = np.array([[1, shear, 0], [0, 1, 0], [0, 0, 1]]) @ np.diag(spacing)
    matrix[:3, :3] = (np.eye(3) if turn is None else turn) @ sheared
    matrix[:3, 3] = (-30.5, 12.25, 7.0)
    return matrix


def rotation(seed=0):
    """A rotation by no simple angle."""
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q
