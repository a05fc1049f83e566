"""MXNet's operators, one function each: what it means, and what says the same in ONNX.

A converter honours every attribute that matters at inference or refuses the node. Shapes are worked out on the way, so
that a wrong array is reported under its own name. Source: the parameter structs and shape functions of MXNet 1.9.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import EngineError
from .attributes import Attributes
from .graph import AttributeValue, Graph, Shape, Tensor
from .symbol import Node

_LAYOUTS = ("None", "NCW", "NCHW", "NCDHW")


@dataclass(frozen=True)
class Call:
    """An MXNet node about to be converted: `name` is the one its output gets."""

    node: Node
    name: str
    inputs: tuple[Tensor, ...]
    attributes: Attributes
    graph: Graph

    @property
    def data(self) -> Tensor:
        """The first input."""
        return self.inputs[0]

    @property
    def spatial(self) -> Shape:
        """The axes of the first input after batch and channel."""
        if len(self.data.shape) < 3:
            raise self.fault(f"its input has the shape {self.data.shape}; expected batch, channel and spatial axes")
        return self.data.shape[2:]

    def fault(self, finding: str) -> EngineError:
        return self.node.fault(finding)

    def expect_inputs(self, *numbers: int) -> None:
        if len(self.inputs) not in numbers:
            raise self.fault(f"it has {len(self.inputs)} inputs; expected {' or '.join(map(str, numbers))}")

    def expect_shape(self, index: int, *shapes: Shape) -> None:
        found = self.inputs[index]
        if found.shape not in shapes:
            raise self.fault(
                f"{found.name!r} has the shape {found.shape}; expected {' or '.join(map(str, shapes))}: "
                "take the weights that belong to the symbol"
            )

    def one_input(self) -> Tensor:
        self.expect_inputs(1)
        return self.data

    def axis(self, name: str, default: int, axes: int) -> int:
        found = self.attributes.integer(name, default, least=-axes)
        if found >= axes:
            raise self.fault(f"the attribute {name!r} is {found}, and there are {axes} axes")
        return found % axes

    def emit(
        self, operator: str, shape: Shape, *inputs: Tensor, name: str | None = None, **attributes: AttributeValue
    ) -> Tensor:
        """Add an operation with one output."""
        output = self.graph.tensor(name or self.name, shape)
        self.graph.add(operator, inputs or (self.data,), [output], **attributes)
        return output


Converter = Callable[[Call], tuple[Tensor, ...]]


def _convolution(call: Call) -> tuple[Tensor, ...]:
    """`Convolution`: weight (filters, channels / groups, kernel), and a bias unless `no_bias`."""
    take, rank, channels = call.attributes, len(call.spatial), call.data.shape[1]
    filters, groups = take.integer("num_filter"), take.integer("num_group", 1)
    kernel = take.extent("kernel", rank, None, least=1)
    stride, dilate = (take.extent(name, rank, 1, least=1) for name in ("stride", "dilate"))
    pad = take.extent("pad", rank, 0, least=0)
    take.word("layout", "None", _LAYOUTS)
    if channels % groups or filters % groups:
        raise call.fault(f"{channels} channels and {filters} filters do not part into {groups} groups")
    _expect_weight_and_bias(call, (filters, channels // groups, *kernel), filters, no_bias=False)
    shape = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(call.spatial, pad, dilate, kernel, stride, strict=True)
    )
    return (
        call.emit(
            "Conv",
            (call.data.shape[0], filters, *shape),
            *call.inputs,
            kernel_shape=kernel,
            strides=stride,
            dilations=dilate,
            pads=pad + pad,
            group=groups,
        ),
    )


def _deconvolution(call: Call) -> tuple[Tensor, ...]:
    """`Deconvolution`: weight (channels, filters / groups, kernel); `adj` lengthens the output at its end."""
    take, rank, channels = call.attributes, len(call.spatial), call.data.shape[1]
    filters, groups = take.integer("num_filter"), take.integer("num_group", 1)
    kernel = take.extent("kernel", rank, None, least=1)
    stride, dilate = (take.extent(name, rank, 1, least=1) for name in ("stride", "dilate"))
    pad, adj = (take.extent(name, rank, 0, least=0) for name in ("pad", "adj"))
    take.word("layout", "None", _LAYOUTS)
    if any(take.axes("target_shape")):
        raise call.fault("the attribute 'target_shape' is set; expected 'pad' and 'adj': save the network with those")
    if channels % groups or filters % groups:
        raise call.fault(f"{channels} channels and {filters} filters do not part into {groups} groups")
    if any(a >= s for a, s in zip(adj, stride, strict=True)):
        raise call.fault(f"the attribute 'adj' is {adj}; expected less than the stride {stride}")
    _expect_weight_and_bias(call, (channels, filters // groups, *kernel), filters, no_bias=True)
    shape = tuple(
        (n - 1) * s + d * (k - 1) + 1 - 2 * p + a
        for n, s, d, k, p, a in zip(call.spatial, stride, dilate, kernel, pad, adj, strict=True)
    )
    options = {"output_padding": adj} if any(adj) else {}
    return (
        call.emit(
            "ConvTranspose",
            (call.data.shape[0], filters, *shape),
            *call.inputs,
            kernel_shape=kernel,
            strides=stride,
            dilations=dilate,
            pads=pad + pad,
            group=groups,
            **options,
        ),
    )


def _expect_weight_and_bias(call: Call, weight: Shape, filters: int, *, no_bias: bool) -> None:
    call.expect_inputs(2 if call.attributes.flag("no_bias", no_bias) else 3)
    call.expect_shape(1, weight)
    if len(call.inputs) == 3:
        call.expect_shape(2, (filters,))


def _pooling(call: Call) -> tuple[Tensor, ...]:
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
    options = {"count_include_pad": int(counts_pad)} if kind == "avg" else {}
    return (
        call.emit(
            operator, (*data.shape[:2], *shape), kernel_shape=kernel, strides=stride, pads=pad + pad, **options
        ),
    )


def _instance_norm(call: Call) -> tuple[Tensor, ...]:
    """`InstanceNorm`: gamma * (x - mean) / sqrt(variance + eps) + beta, biased variance; eps is 1e-3 by default."""
    call.expect_inputs(3)
    epsilon = call.attributes.number("eps", 1e-3)
    channels = (call.data.shape[: len(call.data.shape) - len(call.spatial)][-1],)
    call.expect_shape(1, channels)
    call.expect_shape(2, channels)
    return (call.emit("InstanceNormalization", call.data.shape, *call.inputs, epsilon=epsilon),)


def _activation(call: Call) -> tuple[Tensor, ...]:
    """`Activation`; `softrelu` is log(1 + exp(x))."""
    operators = {"relu": "Relu", "softrelu": "Softplus", "sigmoid": "Sigmoid", "tanh": "Tanh", "softsign": "Softsign"}
    data = call.one_input()
    return (call.emit(operators[call.attributes.word("act_type", "", tuple(operators))], data.shape),)


def _leaky_relu(call: Call) -> tuple[Tensor, ...]:
    """`LeakyReLU`: leaky and elu with the slope 0.25 by default, prelu with one slope a channel or one for all."""
    kind = call.attributes.word("act_type", "leaky", ("leaky", "elu", "prelu"))
    slope = call.attributes.number("slope", 0.25)
    call.attributes.drop("lower_bound", "upper_bound")  # of rrelu
    if kind != "prelu":
        return (call.emit({"leaky": "LeakyRelu", "elu": "Elu"}[kind], call.one_input().shape, alpha=slope),)
    call.expect_inputs(2)
    rank = len(call.spatial)
    call.expect_shape(1, (call.data.shape[1],), (1,))
    slopes = _unsqueeze(call, call.inputs[1], tuple(range(1, rank + 1)), f"{call.name}_slopes")
    return (call.emit("PRelu", call.data.shape, call.data, slopes),)


def _add(call: Call) -> tuple[Tensor, ...]:
    """The sum of tensors of one shape."""
    if not call.inputs:
        raise call.fault("it has no inputs")
    call.attributes.drop("num_args")
    for index in range(1, len(call.inputs)):
        call.expect_shape(index, call.data.shape)
    return (call.emit("Add" if len(call.inputs) == 2 else "Sum", call.data.shape, *call.inputs),)


def _broadcast_add(call: Call) -> tuple[Tensor, ...]:
    """The sum of two tensors of as many axes, of which some may have length 1 on one side."""
    call.expect_inputs(2)
    left, right = (tensor.shape for tensor in call.inputs)
    if len(left) != len(right) or any(a != b and 1 not in (a, b) for a, b in zip(left, right, strict=True)):
        raise call.fault(f"the shapes {left} and {right} cannot be broadcast")
    return (call.emit("Add", tuple(map(max, zip(left, right, strict=True))), *call.inputs),)


def _concat(call: Call) -> tuple[Tensor, ...]:
    """`Concat` along `dim`, the channels by default."""
    if not call.inputs:
        raise call.fault("it has no inputs")
    call.attributes.drop("num_args")
    axis = call.axis("dim", 1, len(call.data.shape))
    length = 0
    for index, tensor in enumerate(call.inputs):
        length += tensor.shape[axis] if len(tensor.shape) > axis else 0
        call.expect_shape(index, (*call.data.shape[:axis], *tensor.shape[axis : axis + 1], *call.data.shape[axis + 1 :]))
    return (
        call.emit("Concat", (*call.data.shape[:axis], length, *call.data.shape[axis + 1 :]), *call.inputs, axis=axis),
    )


def _slice_channel(call: Call) -> tuple[Tensor, ...]:
    """`SliceChannel`: equal parts along an axis, the channels by default."""
    data, parts = call.one_input(), call.attributes.integer("num_outputs")
    axis = call.axis("axis", 1, len(data.shape))
    if call.attributes.flag("squeeze_axis", False):
        raise call.fault("the attribute 'squeeze_axis' is set and not understood")
    if data.shape[axis] % parts:
        raise call.fault(f"axis {axis} of {data.shape} does not part into {parts}")
    shape = (*data.shape[:axis], data.shape[axis] // parts, *data.shape[axis + 1 :])
    outputs = tuple(call.graph.tensor(f"{call.name}_{index}", shape) for index in range(parts))
    call.graph.add("Split", [data], outputs, axis=axis)
    return outputs


def _stack(call: Call) -> tuple[Tensor, ...]:
    """`stack` along a new axis."""
    if not call.inputs:
        raise call.fault("it has no inputs")
    call.attributes.drop("num_args")
    shape = call.data.shape
    axis = call.axis("axis", 0, len(shape) + 1)
    for index in range(len(call.inputs)):
        call.expect_shape(index, shape)
    parts = [_unsqueeze(call, tensor, (axis,), f"{call.name}_{index}") for index, tensor in enumerate(call.inputs)]
    return (call.emit("Concat", (*shape[:axis], len(parts), *shape[axis:]), *parts, axis=axis),)


def _maximum(call: Call) -> tuple[Tensor, ...]:
    """`max` over axes, over all of them by default."""
    data, rank = call.one_input(), len(call.data.shape)
    axes = call.attributes.axes("axis") or tuple(range(rank))
    keep = call.attributes.flag("keepdims", False)
    if call.attributes.flag("exclude", False):
        raise call.fault("the attribute 'exclude' is set and not understood")
    over = {axis % rank for axis in axes}
    if len(over) != len(axes) or not all(-rank <= axis < rank for axis in axes):
        raise call.fault(f"the attribute 'axis' is {axes}, and there are {rank} axes")
    shape = tuple(1 if axis in over else n for axis, n in enumerate(data.shape) if keep or axis not in over)
    return (call.emit("ReduceMax", shape, axes=tuple(sorted(over)), keepdims=int(keep)),)


def elementwise_max(call: Call) -> tuple[Tensor, ...]:
    """The fusion of the modalities: the elementwise maximum of tensors of one shape. Not an operator of MXNet."""
    for index in range(1, len(call.inputs)):
        call.expect_shape(index, call.data.shape)
    return (call.emit("Max", call.data.shape, *call.inputs),)


def _softmax(call: Call) -> tuple[Tensor, ...]:
    """`softmax` along an axis, the last by default."""
    data = call.one_input()
    axis = call.axis("axis", -1, len(data.shape))
    if call.attributes.number("temperature", 1.0) != 1.0:
        raise call.fault("the attribute 'temperature' is not 1")
    if call.attributes.flag("use_length", False):
        raise call.fault("the attribute 'use_length' is set and not understood")
    call.attributes.word("dtype", "None", ("None", "float32"))
    return (call.emit("Softmax", data.shape, axis=axis),)


def _softmax_activation(call: Call) -> tuple[Tensor, ...]:
    """`SoftmaxActivation`: along the channels; "instance", the default, is along everything but the batch."""
    data = call.one_input()
    if call.attributes.word("mode", "instance", ("instance", "channel")) == "instance" and len(data.shape) != 2:
        raise call.fault(f"mode 'instance' on the shape {data.shape} is not understood; expected mode 'channel'")
    return (call.emit("Softmax", data.shape, axis=1),)


def _softmax_output(call: Call) -> tuple[Tensor, ...]:
    """`SoftmaxOutput`, whose second input, the label, is of training: along the channels if `multi_output`."""
    take, rank = call.attributes, len(call.data.shape)
    take.drop("grad_scale", "ignore_label", "use_ignore", "normalization", "out_grad", "smooth_alpha")
    channels, last = take.flag("multi_output", False), take.flag("preserve_shape", False)
    if not channels and not last and rank != 2:
        raise call.fault(f"neither multi_output nor preserve_shape is set for the shape {call.data.shape}")
    return (call.emit("Softmax", call.data.shape, axis=1 if channels else rank - 1),)


def _identity(call: Call) -> tuple[Tensor, ...]:
    """An operator that does nothing at inference."""
    return (call.one_input(),)


def _dropout(call: Call) -> tuple[Tensor, ...]:
    """`Dropout` does nothing at inference, unless it is told to."""
    call.attributes.word("mode", "training", ("training",))
    call.attributes.drop("p", "axes")
    return (call.one_input(),)


def _unsqueeze(call: Call, tensor: Tensor, axes: Shape, name: str) -> Tensor:
    shape = list(tensor.shape)
    for axis in axes:
        shape.insert(axis, 1)
    index = call.graph.tensor(f"{name}_axes", (len(axes),))
    call.graph.add("Constant", [], [index], value_ints=axes)
    return call.emit("Unsqueeze", tuple(shape), tensor, index, name=name)


ELEMENTWISE_MAX = "elementwise_max"
IDENTITIES = {"BlockGrad": _identity, "stop_gradient": _identity, "identity": _identity, "_copy": _identity}
SOFTMAXES = {
    "softmax": _softmax,
    "SoftmaxActivation": _softmax_activation,
    "SoftmaxOutput": _softmax_output,
    "Softmax": _softmax_output,
}
# Inputs that only training reads.
LABELS = {"SoftmaxOutput": 1, "Softmax": 1}

CONVERTERS: dict[str, Converter] = {
    **IDENTITIES,
    **SOFTMAXES,
    "Dropout": _dropout,
    "Convolution": _convolution,
    "Deconvolution": _deconvolution,
    "Pooling": _pooling,
    "InstanceNorm": _instance_norm,
    "Activation": _activation,
    "LeakyReLU": _leaky_relu,
    "elemwise_add": _add,
    "_plus": _add,
    "_Plus": _add,
    "_add": _add,
    "add_n": _add,
    "ElementWiseSum": _add,
    "broadcast_add": _broadcast_add,
    "broadcast_plus": _broadcast_add,
    "Concat": _concat,
    "concat": _concat,
    "SliceChannel": _slice_channel,
    "split": _slice_channel,
    "stack": _stack,
    "max": _maximum,
    "max_axis": _maximum,
    ELEMENTWISE_MAX: elementwise_max,
}


def convert_node(call: Call) -> tuple[Tensor, ...]:
    """Convert one node.

    Raises
    ------
    EngineError
        If the operator, an attribute or an input's shape is not understood.
    """
    converter = CONVERTERS.get(call.node.operator)
    if converter is None:
        raise call.fault("this operator is not understood: export a network of the operators that the cascade uses")
    outputs = converter(call)
    call.attributes.finish()
    return outputs
