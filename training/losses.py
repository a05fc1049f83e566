"""What the three networks are trained for: overlap and cross-entropy at each scale.

The overlap is the authors': one minus the mean over the three tumour classes of
(2 sum(p q) + 1) / (sum(p^2) + sum(q) + 1), with p the softmax and q the reference's memberships. So are the scales'
weights, 0.4 for all of the size, 0.3 for half and 0.2 for a quarter. The reference of a coarser scale is the mean of
the finer memberships. The authors train for overlap alone; the cross-entropy, the mean over all voxels, is added here
with a weight of 1. Source: `segmentation_model.py` of the authors' released code.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from cascade import CLASSES
from network import Logits
from torch import Tensor

SMOOTH = 1.0


@dataclass(frozen=True)
class LossWeights:
    """Of the scales, and of cross-entropy beside the overlap."""

    full: float = 0.4
    half: float = 0.3
    quarter: float = 0.2
    cross_entropy: float = 1.0


def cascade_loss(logits: Logits, classes: Tensor, weights: LossWeights) -> Tensor:
    """The loss of a batch; `classes` is (B, D, H, W), integers, at the full size."""
    members = functional.one_hot(classes.long(), CLASSES).movedim(-1, 1).float()
    total = logits.full.new_zeros((), dtype=torch.float32)
    for name, factor in (("full", 1), ("half", 2), ("quarter", 4)):
        coarser = functional.avg_pool3d(members, factor) if factor > 1 else members
        scores = getattr(logits, name).float()
        scale = overlap_loss(torch.softmax(scores, 1), coarser)
        if weights.cross_entropy:
            scale = scale + weights.cross_entropy * functional.cross_entropy(scores, coarser)
        total = total + getattr(weights, name) * scale
    return total


def overlap_loss(softmax: Tensor, members: Tensor) -> Tensor:
    """One minus the authors' smoothed Dice, the mean over cases and the classes after background."""
    axes = (2, 3, 4)
    shared = (softmax * members).sum(axes)
    sizes = softmax.square().sum(axes) + members.sum(axes)
    return 1 - ((2 * shared + SMOOTH) / (sizes + SMOOTH))[:, 1:].mean()
