"""How colours look to people with each kind of dichromacy, and how far apart they then are.

Simulation: the matrices for complete dichromacy of Machado, Oliveira and Fernandes 2009 (table 1, severity 1.0), on
linear sRGB. Distance: CIE 1976, in CIELAB under D65.
"""

from __future__ import annotations

import numpy as np

DICHROMACIES = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
WHITE = np.array([0.9505, 1.0, 1.089])


def linear(colour):
    values = np.asarray(colour) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    ratio = np.asarray(XYZ) @ rgb / WHITE
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def seen(colour, dichromacy=None):
    """CIELAB of an sRGB colour, as seen with a dichromacy or (None) without one."""
    rgb = linear(colour)
    if dichromacy is not None:
        rgb = np.clip(np.asarray(DICHROMACIES[dichromacy]) @ rgb, 0, 1)
    return lab(rgb)


def distance(first, second, dichromacy=None):
    return float(np.linalg.norm(seen(first, dichromacy) - seen(second, dichromacy)))
