"""MXNet's operators over space: convolutions, pooling and instance normalisation.

A converter honours every attribute that matters at inference or refuses the node. Shapes are worked out on the way, so
that a wrong array is reported under its own name. Source: the parameter structs and shape functions of MXNet 1.9.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .call import Call
from .graph import Shape, Tensor

_LAYOUTS = ("None", "NCW", "NCHW", "NCDHW")


@dataclass(frozen=True)
class _Window:
    """What convolutions and deconvolutions have in common."""

    filters: int
    groups: int
    kernel: Shape
    stride: Shape
    dilate: Shape
    pad: Shape

    @classmethod
    def of(cls, call: Call) -> _Window:
        take, rank = call.attributes, len(call.spatial)
        filters, groups = take.integer("num_filter"), take.integer("num_group", 1)
        kernel = take.extent("kernel", rank, None, least=1)
        stride, dilate = (take.extent(name, rank, 1, least=1) for name in ("stride", "dilate"))
        pad = take.extent("pad", rank, 0, least=0)
        take.word("layout", "None", _LAYOUTS)
        if call.channels % groups or filters % groups:
            raise call.fault(f"{call.channels} channels and {filters} filters do not part into {groups} groups")
        return cls(filters, groups, kernel, stride, dilate, pad)

    def emit(self, call: Call, operator: str, spatial: Shape, **options: Any) -> tuple[Tensor, ...]:
        shape = (call.data.shape[0], self.filters, *spatial)
        window: dict[str, Any] = {"kernel_shape": self.kernel, "strides": self.stride, "dilations": self.dilate}
        return (call.emit(operator, shape, *call.inputs, **window, pads=self.pad * 2, group=self.groups, **options),)


def convolution(call: Call) -> tuple[Tensor, ...]:
    """`Convolution`: weight (filters, channels / groups, kernel), and a bias unless `no_bias`."""
    window = _Window.of(call)
    weight = (window.filters, call.channels // window.groups, *window.kernel)
    _expect_weight_and_bias(call, weight, window.filters, no_bias=False)
    spatial = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(call.spatial, window.pad, window.dilate, window.kernel, window.stride, strict=True)
    )
    return window.emit(call, "Conv", spatial)


def deconvolution(call: Call) -> tuple[Tensor, ...]:
    """`Deconvolution`: weight (channels, filters / groups, kernel); `adj` lengthens the output at its end."""
    window = _Window.of(call)
    adj = call.attributes.extent("adj", len(call.spatial), 0, least=0)
    if any(call.attributes.axes("target_shape")):
        raise call.fault("the attribute 'target_shape' is set; expected 'pad' and 'adj': save the network with those")
    if any(a >= s for a, s in zip(adj, window.stride, strict=True)):
        raise call.fault(f"the attribute 'adj' is {adj}; expected less than the stride {window.stride}")
    weight = (call.channels, window.filters // window.groups, *window.kernel)
    _expect_weight_and_bias(call, weight, window.filters, no_bias=True)
    spatial = tuple(
        (n - 1) * s + d * (k - 1) + 1 - 2 * p + a
        for n, s, d, k, p, a in zip(
            call.spatial, window.stride, window.dilate, window.kernel, window.pad, adj, strict=True
        )
    )
    options: dict[str, Any] = {"output_padding": adj} if any(adj) else {}
    return window.emit(call, "ConvTranspose", spatial, **options)


def _expect_weight_and_bias(call: Call, weight: Shape, filters: int, *, no_bias: bool) -> None:
    call.expect_inputs(2 if call.attributes.flag("no_bias", no_bias) else 3)
    call.expect_shape(1, weight)
    if len(call.inputs) == 3:
        call.expect_shape(2, (filters,))


def pooling(call: Call) -> tuple[Tensor, ...]:
    """`Pooling`, average or maximum. The "full" convention is taken where it says the same as "valid"."""
    take, data, rank = call.attributes, call.one_input(), len(call.spatial)
    kind = take.word("pool_type", "max", ("max", "avg"))
    whole = take.flag("global_pool", False)
    kernel = take.extent("kernel", rank, 1 if whole else None, least=1)
    stride, pad = take.extent("stride", rank, 1, least=1), take.extent("pad", rank, 0, least=0)
    convention = take.word("pooling_convention", "valid", ("valid", "full"))
    counts_pad = take.flag("count_include_pad", True)
    take.word("layout", "None", _LAYOUTS)
    take.drop("p_value")
    operator = {"max": "MaxPool", "avg": "AveragePool"}[kind]
    if whole:
        return (call.emit(f"Global{operator}", (*data.shape[:2], *(1,) * rank)),)
    room = [n + 2 * p - k for n, p, k in zip(call.spatial, pad, kernel, strict=True)]
    if min(room) < 0 or any(p >= k for p, k in zip(pad, kernel, strict=True)):
        raise call.fault(f"the kernel {kernel} with pad {pad} does not fit the input {call.spatial}")
    if convention == "full" and any(free % s for free, s in zip(room, stride, strict=True)):
        raise call.fault("pooling_convention 'full' with windows past the edge is not understood; expected 'valid'")
    shape = tuple(free // s + 1 for free, s in zip(room, stride, strict=True))
    options: dict[str, Any] = {"count_include_pad": int(counts_pad)} if kind == "avg" else {}
    return (
        call.emit(operator, (*data.shape[:2], *shape), kernel_shape=kernel, strides=stride, pads=pad + pad, **options),
    )


def instance_norm(call: Call) -> tuple[Tensor, ...]:
    """`InstanceNorm`: gamma * (x - mean) / sqrt(variance + eps) + beta, biased variance; eps is 1e-3 by default."""
    call.expect_inputs(3)
    epsilon = call.attributes.number("eps", 1e-3)
    call.expect_shape(1, (call.channels,))
    call.expect_shape(2, (call.channels,))
    return (call.emit("InstanceNormalization", call.data.shape, *call.inputs, epsilon=epsilon),)
