"""Each operator of MXNet against its formula, by way of a whole conversion and ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from mxnet_files import SymbolWriter, write_params
from scipy import ndimage

from brats_trt import EngineError
from brats_trt.export import convert

SIZE = 32
RANDOM = np.random.default_rng(11)
DATA = RANDOM.standard_normal((1, 4, SIZE, SIZE, SIZE)).astype(np.float32)
CUBE = (3, 3, 3)


def weights(*shape):
    return (RANDOM.standard_normal(shape) / 4).astype(np.float32)


def converted(
    folder, operator, arrays=None, *, head="softmax", before=None, also_data=False, head_options=None, **options
):
    """The answer of softmax(operator(data, *arrays)); `before` is a layer that the data passes first."""
    symbol, arrays = SymbolWriter(), arrays or {}
    data = symbol.variable("data_crop")
    if before:
        data = symbol.add(before[0], "before", data, **before[1])
    inputs = [data, *(symbol.variable(name) for name in arrays)]
    value = symbol.add(operator, "tested", *inputs, **options)
    if also_data:
        value = symbol.add("broadcast_add", "sum", data, value)
    label = [symbol.variable("label")] if head in ("SoftmaxOutput", "Softmax") else []
    softmax = symbol.add(head, "softmax", value, *label, **({"axis": 1} if head_options is None else head_options))
    model = folder / "x.onnx"
    files = symbol.write(folder / "x.json", softmax), write_params(folder / "x.params", arrays)
    convert(*files, model, size=SIZE, overwrite=True)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"data_crop": DATA})[0]


def softmax(scores):
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def correlate(data, kernel, bias, *, groups=1, dilate=1, stride=1):
    """A convolution that pads so that the size stays, in float64."""
    each = len(data) // groups
    spread = np.zeros((*kernel.shape[:2], *(dilate * (n - 1) + 1 for n in kernel.shape[2:])))
    spread[:, :, ::dilate, ::dilate, ::dilate] = kernel
    out = []
    for index, filters in enumerate(spread):
        group = index // (len(spread) // groups)
        channels = data[group * each : (group + 1) * each].astype(float)
        whole = sum(ndimage.correlate(c, f, mode="constant") for c, f in zip(channels, filters, strict=True))
        out.append(whole[::stride, ::stride, ::stride] + bias[index])
    return np.stack(out)


def assert_close(found, scores):
    np.testing.assert_allclose(found, softmax(scores), atol=2e-6)


@pytest.mark.parametrize(("groups", "dilate"), [(1, 1), (2, 1), (4, 1), (1, 2)])
def test_convolution(tmp_path, groups, dilate):
    weight, bias = weights(4, 4 // groups, *CUBE), weights(4)
    options = {"kernel": CUBE, "num_filter": 4, "num_group": groups, "pad": (dilate,) * 3, "dilate": (dilate,) * 3}
    found = converted(tmp_path, "Convolution", {"w": weight, "b": bias}, **options)
    assert_close(found, correlate(DATA[0], weight, bias, groups=groups, dilate=dilate)[None])


def test_convolution_has_a_bias_unless_told_otherwise_and_deconvolution_has_not(tmp_path):
    weight, bias, point = weights(4, 4, 1, 1, 1), weights(4), {"kernel": (1, 1, 1), "num_filter": 4}
    mixed = np.einsum("oi,bixyz->boxyz", weight[..., 0, 0, 0], DATA)
    turned = np.einsum("io,bixyz->boxyz", weight[..., 0, 0, 0], DATA)
    shift = bias[:, None, None, None]
    both = {"w": weight, "b": bias}
    assert_close(converted(tmp_path, "Convolution", both, **point), mixed + shift)
    assert_close(converted(tmp_path, "Convolution", {"w": weight}, no_bias=True, **point), mixed)
    assert_close(converted(tmp_path, "Deconvolution", {"w": weight}, **point), turned)
    assert_close(converted(tmp_path, "Deconvolution", both, no_bias=False, **point), turned + shift)
    for operator, arrays in (("Convolution", {"w": weight}), ("Deconvolution", both)):
        with pytest.raises(EngineError, match=f"'tested' .{operator}.: it has . inputs; expected"):
            converted(tmp_path, operator, arrays, **point)


@pytest.mark.parametrize(("kernel", "pad", "adj", "groups"), [(2, 0, 0, 1), (3, 1, 1, 1), (4, 1, 0, 2), (1, 0, 1, 4)])
def test_deconvolution_is_the_transpose_of_a_strided_convolution(tmp_path, kernel, pad, adj, groups):
    weight = weights(4, 4 // groups, *(kernel,) * 3)
    pooled = ("Pooling", {"kernel": (2, 2, 2), "stride": (2, 2, 2), "pool_type": "avg"})
    options = {"kernel": (kernel,) * 3, "stride": (2, 2, 2), "pad": (pad,) * 3, "adj": (adj,) * 3}
    found = converted(
        tmp_path, "Deconvolution", {"w": weight}, before=pooled, num_filter=4, num_group=groups, **options
    )
    halved = DATA[0].reshape(4, 16, 2, 16, 2, 16, 2).mean((2, 4, 6))
    spread = np.zeros((4, *(31 + kernel + adj,) * 3))
    each = 4 // groups
    for where in np.ndindex(kernel, kernel, kernel):
        target = spread[(slice(None), *(slice(start, start + 31, 2) for start in where))]
        for channel in range(4):
            first = channel // each * each
            target[first : first + each] += (
                weight[channel][(slice(None), *where)][:, None, None, None] * halved[channel]
            )
    inner = slice(pad, pad + SIZE)
    assert_close(found, spread[None, :, inner, inner, inner])


@pytest.mark.parametrize("counted", [True, False])
def test_average_pooling_counts_the_padding_as_told(tmp_path, counted):
    options = {"kernel": CUBE, "pad": (1, 1, 1), "pool_type": "avg", "count_include_pad": counted}
    sums = np.stack([ndimage.uniform_filter(c.astype(float), 3, mode="constant") for c in DATA[0]])
    share = ndimage.uniform_filter(np.ones(DATA.shape[2:]), 3, mode="constant")
    assert_close(converted(tmp_path, "Pooling", **options), (sums if counted else sums / share)[None])


def test_pooling_takes_the_maximum_by_default(tmp_path):
    found = converted(tmp_path, "Pooling", kernel=CUBE, pad=(1, 1, 1), pooling_convention="full")
    expected = np.stack([ndimage.maximum_filter(c, 3, mode="constant", cval=-np.inf) for c in DATA[0]])
    assert_close(found, expected[None])


@pytest.mark.parametrize(("kind", "pooled"), [("avg", DATA.mean((2, 3, 4))), ("max", DATA.max((2, 3, 4)))])
def test_global_pooling_takes_the_whole_input_whatever_the_kernel(tmp_path, kind, pooled):
    found = converted(tmp_path, "Pooling", also_data=True, pool_type=kind, global_pool=True, kernel=CUBE)
    assert_close(found, DATA + pooled[:, :, None, None, None])


@pytest.mark.parametrize("epsilon", [None, 0.5])
def test_instance_norm_has_a_biased_variance_and_a_thousandth_as_epsilon(tmp_path, epsilon):
    gamma, beta = weights(4), weights(4)
    options = {} if epsilon is None else {"eps": epsilon}
    pooled = ("Pooling", {"kernel": CUBE, "pad": (1, 1, 1), "pool_type": "avg"})
    values = np.stack([ndimage.uniform_filter(c.astype(float), 3, mode="constant") for c in DATA[0]])[None]
    mean, variance = (statistic(values, (2, 3, 4), keepdims=True) for statistic in (np.mean, np.var))
    normal = (values - mean) / np.sqrt(variance + (epsilon or 1e-3))
    found = converted(tmp_path, "InstanceNorm", {"g": gamma, "b": beta}, before=pooled, **options)
    assert_close(found, normal * gamma[:, None, None, None] + beta[:, None, None, None])


@pytest.mark.parametrize(
    ("operator", "options", "expected"),
    [
        ("Activation", {"act_type": "relu"}, np.maximum(DATA, 0)),
        ("Activation", {"act_type": "softrelu"}, np.log1p(np.exp(DATA))),
        ("Activation", {"act_type": "sigmoid"}, 1 / (1 + np.exp(-DATA))),
        ("Activation", {"act_type": "tanh"}, np.tanh(DATA)),
        ("Activation", {"act_type": "softsign"}, DATA / (1 + abs(DATA))),
        ("LeakyReLU", {}, np.where(DATA > 0, DATA, 0.25 * DATA)),
        ("LeakyReLU", {"act_type": "leaky", "slope": 0.1}, np.where(DATA > 0, DATA, 0.1 * DATA)),
        ("LeakyReLU", {"act_type": "elu"}, np.where(DATA > 0, DATA, 0.25 * np.expm1(DATA))),
        ("LeakyReLU", {"act_type": "elu", "slope": 1.0}, np.where(DATA > 0, DATA, np.expm1(DATA))),
        ("Dropout", {"p": 0.5}, DATA),
        ("identity", {}, DATA),
        ("add_n", {"num_args": 1}, DATA),
    ],
)
def test_elementwise_operators(tmp_path, operator, options, expected):
    assert_close(converted(tmp_path, operator, **options), expected)


@pytest.mark.parametrize("slopes", [np.array([0.1, 0.2, 0.3, 0.4], np.float32), np.array([0.3], np.float32)])
def test_prelu_has_a_slope_for_each_channel_or_one_for_all(tmp_path, slopes):
    found = converted(tmp_path, "LeakyReLU", {"gamma": slopes}, act_type="prelu")
    assert_close(found, np.where(DATA > 0, DATA, slopes[:, None, None, None] * DATA))


@pytest.mark.parametrize(
    ("head", "options"),
    [
        ("softmax", {"axis": -4}),
        ("SoftmaxActivation", {"mode": "channel"}),
        ("SoftmaxOutput", {"multi_output": True, "use_ignore": True, "grad_scale": 0.5}),
        ("Softmax", {"multi_output": 1, "preserve_shape": False}),
    ],
)
def test_every_softmax_over_the_channels_is_one(tmp_path, head, options):
    assert_close(converted(tmp_path, "identity", head=head, head_options=options), DATA)


@pytest.mark.parametrize(
    ("head", "options", "message"),
    [
        ("softmax", {}, "softmax of the shape .* along axis 4"),
        ("softmax", {"axis": 1, "temperature": 2.0}, "temperature"),
        ("softmax", {"axis": 1, "use_length": True}, "use_length"),
        ("softmax", {"axis": 1, "dtype": "float64"}, "dtype"),
        ("softmax", {"axis": 5}, "there are 5 axes"),
        ("SoftmaxActivation", {"mode": "instance"}, "expected mode 'channel'"),
        ("SoftmaxOutput", {"use_ignore": True}, "neither multi_output nor preserve_shape"),
        ("SoftmaxOutput", {"preserve_shape": True}, "along axis 4"),
        ("Activation", {"act_type": "relu"}, "expected a softmax"),
    ],
)
def test_any_other_head_is_refused(tmp_path, head, options, message):
    with pytest.raises(EngineError, match=f"node 'softmax' .*{message}"):
        converted(tmp_path, "identity", head=head, head_options=options)


@pytest.mark.parametrize(
    ("operator", "options", "message"),
    [
        ("Custom", {}, "this operator is not understood"),
        ("Activation", {}, "'act_type' is ''; expected one of relu"),
        ("Activation", {"act_type": "mish"}, "'act_type' is 'mish'"),
        ("Activation", {"act_type": "relu", "clip": 6}, "'clip' is '6'; expected no such attribute"),
        ("LeakyReLU", {"act_type": "rrelu"}, "'act_type' is 'rrelu'"),
        ("LeakyReLU", {"slope": "nan"}, "'slope' is 'nan'; expected a number"),
        ("Dropout", {"mode": "always"}, "'mode' is 'always'"),
        ("Pooling", {"kernel": CUBE, "pool_type": "sum"}, "'pool_type' is 'sum'"),
        ("Pooling", {"kernel": CUBE, "pooling_convention": "same"}, "'pooling_convention' is 'same'"),
        ("Pooling", {"kernel": CUBE, "stride": CUBE[:1] * 3, "pooling_convention": "full"}, "'full' with windows"),
        ("Pooling", {"kernel": CUBE, "layout": "NDHWC"}, "'layout' is 'NDHWC'"),
        ("Pooling", {"kernel": (3, 3)}, r"'kernel' is .* expected 3 integers"),
        ("Pooling", {}, "'kernel' is .* expected 3 integers"),
        ("Pooling", {"kernel": "(3, 3, x)"}, "'kernel' is .* expected integers"),
        ("Pooling", {"kernel": (99, 99, 99)}, "does not fit the input"),
        ("Pooling", {"kernel": CUBE, "pad": (3, 3, 3)}, "does not fit the input"),
        ("SliceChannel", {"num_outputs": 3}, "does not part into 3"),
        ("SliceChannel", {"num_outputs": 4, "squeeze_axis": True}, "squeeze_axis"),
        ("max", {"axis": 7}, "there are 5 axes"),
        ("max", {"axis": 1, "exclude": True}, "exclude"),
        ("stack", {"axis": -7}, "'axis' is .* expected one integer of at least -6"),
    ],
)
def test_what_is_not_understood_is_refused_under_the_nodes_name(tmp_path, operator, options, message):
    with pytest.raises(EngineError, match=f"node 'tested' .{operator}.: .*{message}"):
        converted(tmp_path, operator, **options)


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({"num_filter": 4, "num_group": 3}, (4, 1, 1, 1, 1), "do not part into 3 groups"),
        ({"num_filter": 4}, (4, 1, 1, 1, 1), r"'w' has the shape \(4, 1, 1, 1, 1\); expected \(4, 4, 1, 1, 1\)"),
        ({"num_filter": 4, "target_shape": (9, 9, 9)}, (4, 4, 1, 1, 1), "'target_shape' is set"),
        ({"num_filter": 4, "adj": (1, 1, 1)}, (4, 4, 1, 1, 1), "'adj' is .* less than the stride"),
        ({"num_filter": 0}, (4, 4, 1, 1, 1), "'num_filter' is .* at least 1"),
        ({"num_filter": 9999999999}, (4, 4, 1, 1, 1), "'num_filter' is .* expected integers"),
        ({}, (4, 4, 1, 1, 1), "'num_filter' is .* expected one integer"),
    ],
)
def test_a_deconvolution_that_does_not_fit_is_refused(tmp_path, options, shape, message):
    with pytest.raises(EngineError, match=f"node 'tested' .*{message}"):
        converted(tmp_path, "Deconvolution", {"w": weights(*shape)}, kernel=(1, 1, 1), **options)


@pytest.mark.parametrize(
    "attribute",
    ["__lr_mult__", "__anything__", "lr_mult", "weight_lr_mult", "ctx_group", "workspace", "cudnn_tune", "cudnn_off"],
)
def test_attributes_that_do_not_matter_at_inference_are_passed_over(tmp_path, attribute):
    assert_close(converted(tmp_path, "Activation", act_type="relu", **{attribute: "2"}), np.maximum(DATA, 0))
