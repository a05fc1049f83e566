"""MXNet's other operators, and the table of all that are understood.

A converter honours every attribute that matters at inference or refuses the node; see `spatial_operators`.
"""

from __future__ import annotations

from . import spatial_operators as spatial
from .call import Call, Converter
from .graph import Shape, Tensor

_MOST_PARTS = 1024


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
    shape = call.data.shape
    axis = call.axis("dim", 1, len(shape))
    lengths = [tensor.shape[axis : axis + 1] for tensor in call.inputs]
    for index, length in enumerate(lengths):
        call.expect_shape(index, (*shape[:axis], *length, *shape[axis + 1 :]))
    total = sum(length[0] for length in lengths)
    return (call.emit("Concat", (*shape[:axis], total, *shape[axis + 1 :]), *call.inputs, axis=axis),)


def _slice_channel(call: Call) -> tuple[Tensor, ...]:
    """`SliceChannel`: equal parts along an axis, the channels by default."""
    data, parts = call.one_input(), call.attributes.integer("num_outputs")
    axis = call.axis("axis", 1, len(data.shape))
    if call.attributes.flag("squeeze_axis", False):
        raise call.fault("the attribute 'squeeze_axis' is set and not understood")
    if data.shape[axis] % parts or parts > _MOST_PARTS:
        raise call.fault(f"axis {axis} of {data.shape} does not part into {parts}, or into too many")
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


def _max_of_stack(call: Call) -> tuple[Tensor, ...]:
    """The fusion of the modalities: the elementwise maximum of tensors of one shape."""
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


# Not an operator of MXNet: what `stack` and then `max` over the new axis amount to.
MAX_OF_STACK = "max of stack"
# Operators that do nothing at inference.
IDENTITIES: dict[str, Converter] = {
    "BlockGrad": _identity,
    "stop_gradient": _identity,
    "identity": _identity,
    "_copy": _identity,
    "Dropout": _dropout,
}
SOFTMAXES: dict[str, Converter] = {
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
    "Convolution": spatial.convolution,
    "Deconvolution": spatial.deconvolution,
    "Pooling": spatial.pooling,
    "InstanceNorm": spatial.instance_norm,
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
    MAX_OF_STACK: _max_of_stack,
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
