"""A head with a tumour that `models.tiny_model` segments: small, asymmetric, with every class in it."""

from __future__ import annotations

import numpy as np

SHAPE = (40, 44, 36)
STRUCTURES = {"t2": (1, 5), "flair": (2, 9), "t1ce": (3, 7)}  # modality to class and radius in voxels


def volumes(shape=SHAPE, seed=0) -> dict[str, np.ndarray]:
    """Four int16 volumes in Fortran order: an ellipsoid of noise with a bright, displaced ball in each of three."""
    random = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    brain = (x / 0.8) ** 2 + (y / 0.9) ** 2 + (z / 0.75) ** 2 < 1
    centre = np.array([0.3, -0.2, 0.15])
    distance = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2) * min(shape) / 2
    found = {}
    for name in ("t1", "t2", "t1ce", "flair"):
        values = np.where(brain, 500 + 20 * random.standard_normal(shape), 0)
        _, radius = STRUCTURES.get(name, (0, 0))
        values[brain & (distance < radius)] = 900
        found[name] = np.asfortranarray(values.astype(np.int16))
    return found
