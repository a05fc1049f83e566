"""The cascade in PyTorch. Parameters carry the names and shapes of MXNet's arrays, so a checkpoint is a state dict.

Tensors are (B, C, D, H, W). A modality can be left out where the encoders meet: `presence` (B, 4) says which are there,
and the maximum is taken over those alone. Source of the structure: `cascade.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from cascade import DROPOUT, MODALITIES, SIZE_STEP, cascade
from symbol_document import array_shapes
from torch import Tensor, nn

# In bfloat16 groups of so few channels are faster as one dense convolution with zeros between the groups.
WIDENED = 4
# Below this size oneDNN 3.12 reads memory that nobody wrote for the bfloat16 gradient of grouped weights: those are
# convolved in float32, which costs nothing there.
LEAST_BF16 = 4
EPSILON = 1e-3  # MXNet's default in InstanceNorm


@dataclass(frozen=True)
class Logits:
    """What the three networks say before their softmax, (B, 4, D, H, W) at a quarter, half and all of the input."""

    quarter: Tensor
    half: Tensor
    full: Tensor


class Cascade(nn.Module):
    """The three U-Nets with base width F.

    Raises
    ------
    ValueError
        If an input does not fit: four modalities, axes that are multiples of 32, a modality present in each case.
    """

    def __init__(self, base: int, *, dropout: float = DROPOUT) -> None:
        super().__init__()
        self.base, self.dropout = base, dropout
        for name, shape in array_shapes(base).items():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))

    def initialise(self, seed: int) -> None:
        """Xavier's uniform weights as MXNet draws them; norms are the identity, biases zero. Source: the authors."""
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if name.endswith("_weight"):
                window = parameter[0, 0].numel()
                bound = (6 / (window * (parameter.shape[0] + parameter.shape[1]))) ** 0.5
                nn.init.uniform_(parameter, -bound, bound, generator=generator)
            else:
                nn.init.constant_(parameter, float(name.endswith("_gamma")))

    def forward(self, crop: Tensor, presence: Tensor | None = None) -> Logits:
        """Logits of a batch (B, 4, D, H, W); `presence` (B, 4) bool names the modalities to be seen."""
        if crop.ndim != 5 or crop.shape[1] != MODALITIES or any(size % SIZE_STEP for size in crop.shape[2:]):
            raise ValueError(
                f"the input has the shape {tuple(crop.shape)}; expected (B, {MODALITIES}, D, H, W) with axes that are "
                f"multiples of {SIZE_STEP}: resample it"
            )
        if presence is not None and not bool(presence.any(dim=1).all()):
            raise ValueError("a case of the batch has no modality; expected at least one: draw the presence again")
        layers = _TorchLayers(dict(self.named_parameters()), presence, self.dropout if self.training else 0.0)
        return Logits(*cascade(layers, crop, self.base))


class _TorchLayers:
    """Computes the cascade."""

    def __init__(self, arrays: dict[str, Tensor], presence: Tensor | None, dropout: float) -> None:
        self._arrays = arrays
        self._absent = None if presence is None or bool(presence.all()) else ~presence
        self._dropout = dropout

    def average(self, name: str, data: Tensor, factor: int) -> Tensor:
        return functional.avg_pool3d(data, factor)

    def convolve(self, name: str, data: Tensor, filters: int, *, groups: int, stride: int = 1) -> Tensor:
        weight, bias = self._arrays[f"{name}_weight"], self._arrays[f"{name}_bias"]
        if min(data.shape[2:]) < LEAST_BF16 and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return functional.conv3d(data.float(), weight, bias, stride=stride, padding=1, groups=groups)
        if groups > 1 and weight.shape[1] <= WIDENED and torch.is_autocast_enabled("cpu"):
            weight, groups = _block_diagonal(weight, groups), 1
        return functional.conv3d(data, weight, bias, stride=stride, padding=1, groups=groups)

    def mix(self, name: str, data: Tensor, filters: int) -> Tensor:
        return functional.conv3d(data, self._arrays[f"{name}_weight"], self._arrays[f"{name}_bias"])

    def upsample(self, name: str, data: Tensor, filters: int) -> Tensor:
        return functional.conv_transpose3d(data, self._arrays[f"{name}_weight"], stride=2)

    def norm(self, name: str, data: Tensor) -> Tensor:
        scale, shift = self._arrays[f"{name}_gamma"], self._arrays[f"{name}_beta"]
        if len(data) == 1:  # of one case it is a batch norm, which does not give up a channels-last layout
            return torch.batch_norm(data, scale, shift, None, None, True, 0.0, EPSILON, False)
        return torch.instance_norm(data, scale, shift, None, None, True, 0.0, EPSILON, False)

    def relu(self, name: str, data: Tensor) -> Tensor:
        return functional.relu(data)

    def add(self, name: str, first: Tensor, second: Tensor) -> Tensor:
        return first + second

    def drop(self, name: str, data: Tensor) -> Tensor:
        return functional.dropout(data, self._dropout) if self._dropout else data

    def fuse(self, number: int, data: Tensor) -> Tensor:
        groups = data.unflatten(1, (MODALITIES, -1))
        if self._absent is not None:
            groups = groups.masked_fill(self._absent[:, :, None, None, None, None], -torch.inf)
        return groups.max(dim=1).values

    def join(self, name: str, parts: tuple[Tensor, ...]) -> Tensor:
        return torch.cat(parts, dim=1)

    def softmax(self, data: Tensor) -> Tensor:
        return torch.softmax(data, dim=1)


def _block_diagonal(weight: Tensor, groups: int) -> Tensor:
    """The weight of a dense convolution that equals the grouped one."""
    filters, width = weight.shape[0] // groups, weight.shape[1]
    rows = [
        functional.pad(weight[k * filters : (k + 1) * filters], (0,) * 6 + (k * width, (groups - 1 - k) * width))
        for k in range(groups)
    ]
    return torch.cat(rows)
