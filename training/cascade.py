"""The structure of the cascade, written once for whoever computes it or writes it down.

Three U-Nets of one shape: on the input averaged 4^3 with base width 4F, averaged 2^3 with 2F, and as it is with F. The
softmax of the coarsest is a skip of the second, and both softmaxes are skips of the third. Names are those of the
checkpoints that the authors' code wrote with MXNet: layers carry their network's name, while ReLUs and sums do not, and
nameless operators are numbered over the whole cascade in the order in which the networks are made.
Source: the released symbol of `brain-tumor-segmentation-0001`.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol, TypeVar

MODALITIES, CLASSES = 4, 4
DROPOUT = 0.1
# The input is averaged 4^3 for the coarsest network, which halves it three times.
SIZE_STEP = 4 * 2**3

Value = TypeVar("Value")


class Layers(Protocol[Value]):
    """What the cascade is made of. Filters are counted over all groups."""

    def average(self, name: str, data: Value, factor: int) -> Value:
        """The mean over blocks of factor^3."""

    def convolve(self, name: str, data: Value, filters: int, *, groups: int, stride: int = 1) -> Value:
        """A 3^3 convolution with bias, padded by 1."""

    def mix(self, name: str, data: Value, filters: int) -> Value:
        """A 1^3 convolution with bias."""

    def upsample(self, name: str, data: Value, filters: int) -> Value:
        """A 2^3 deconvolution with stride 2, without bias."""

    def norm(self, name: str, data: Value) -> Value:
        """An instance norm with scale and shift."""

    def relu(self, name: str, data: Value) -> Value:
        """The positive part."""

    def add(self, name: str, first: Value, second: Value) -> Value:
        """The sum."""

    def drop(self, name: str, data: Value) -> Value:
        """Dropout in training."""

    def fuse(self, number: int, data: Value) -> Value:
        """The elementwise maximum over the modalities' groups of channels."""

    def join(self, name: str, parts: tuple[Value, ...]) -> Value:
        """The parts' channels one after the other."""

    def softmax(self, data: Value) -> Value:
        """The softmax over channels."""


def cascade(layers: Layers[Value], crop: Value, base: int) -> tuple[Value, Value, Value]:
    """Run or write the cascade: what its networks say before the softmax, coarsest first.

    Parameters
    ----------
    base
        F, the base width of the finest network: 8 in the released model.
    """
    count: Counter[str] = Counter()
    half, quarter = layers.average("pooling0", crop, 2), layers.average("pooling1", crop, 4)
    first = _network(layers, quarter, 4 * base, "seg_onlynet32", count, {})
    coarse = layers.softmax(first)
    second = _network(layers, half, 2 * base, "seg_onlynet64", count, {2: coarse})
    third = _network(layers, crop, base, "seg_onlynet128", count, {3: coarse, 2: layers.softmax(second)})
    return first, second, third


def _network(
    layers: Layers[Value], data: Value, base: int, network: str, count: Counter[str], skips: dict[int, Value]
) -> Value:
    """One U-Net; `skips` has what earlier networks add at the decoder's levels (3 the coarsest)."""
    levels = _encode(layers, data, base, network)
    upper = layers.fuse(_next(count, "split"), levels[4])
    for level, block in ((3, "rb5"), (2, "rb6"), (1, "rb7")):
        filters = base * 2**level
        parts = [
            layers.upsample(f"{network}up_conv{level + 1}_1", upper, filters),
            layers.fuse(_next(count, "split"), levels[level]),
        ]
        if level in skips:
            parts.append(skips[level])
        joined = layers.join(f"concat{_next(count, 'concat')}", tuple(parts))
        mixed = layers.mix(f"convolution{_next(count, 'convolution')}", joined, filters)
        upper = _block(layers, mixed, filters, network, block, groups=1)
    return layers.mix(f"convolution{_next(count, 'convolution')}", upper, CLASSES)


def _encode(layers: Layers[Value], data: Value, base: int, network: str) -> dict[int, Value]:
    """The encoders of all modalities side by side, as groups: what each level (1 the finest) gives."""
    levels, filters = {}, MODALITIES * base
    data = layers.convolve(f"{network}conv1sep_conv", data, filters, groups=MODALITIES)
    for level in (1, 2, 3, 4):
        if level > 1:
            filters = 2 * filters
            data = layers.convolve(f"{network}pool{level - 1}", data, filters, groups=MODALITIES, stride=2)
            data = layers.drop(f"{network}do{level - 1}", data)
        data = levels[level] = _block(layers, data, filters, network, f"rb{level}", groups=MODALITIES)
    return levels


def _block(layers: Layers[Value], data: Value, filters: int, network: str, block: str, *, groups: int) -> Value:
    """Norm, ReLU and convolution twice, plus what came in."""
    inner = data
    for step in (1, 2):
        inner = layers.norm(f"{network}{block}norm{step}", inner)
        inner = layers.relu(f"{block}relu{step}", inner)
        inner = layers.convolve(f"{network}{block}conv{step}sep_conv", inner, filters, groups=groups)
    return layers.add(f"{block}sum", data, inner)


def _next(count: Counter[str], kind: str) -> int:
    """How many of a kind there were before."""
    count[kind] += 1
    return count[kind] - 1
