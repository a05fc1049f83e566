from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from brats_trt.backends.openvino import cpu_precisions, import_openvino, openvino_core
from brats_trt.backends.openvino_norms import sum_norms_in_blocks

CHANNELS, SIZE, EPSILON = 8, 64, 1e-3


def norm_after_convolution():
    """As the network has it: the convolution makes OpenVINO keep the channels last, where its sums are the longest."""
    weights = np.random.default_rng(0).standard_normal((CHANNELS, 4, 1, 1, 1)).astype(np.float32)
    shape = (1, CHANNELS, SIZE, SIZE, SIZE)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "weights"], ["convolved"]),
            helper.make_node("InstanceNormalization", ["convolved", "scale", "shift"], ["y"], epsilon=EPSILON),
        ],
        "norm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 4, SIZE, SIZE, SIZE))],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, shape),
            helper.make_tensor_value_info("convolved", TensorProto.FLOAT, shape),
        ],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.linspace(1, 2, CHANNELS, dtype=np.float32), "scale"),
            numpy_helper.from_array(np.linspace(-1, 1, CHANNELS, dtype=np.float32), "shift"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def mostly_background():
    """A head fills a fifth of its crop; the rest is one value, whose roundings all go the same way."""
    random = np.random.default_rng(1)
    x = np.full((1, 4, SIZE, SIZE, SIZE), 0.7, np.float32)
    x[..., : SIZE // 5] = random.random((1, 4, SIZE, SIZE, SIZE // 5))
    return x


def run(*, blocks, precision="fp32"):
    core = openvino_core()
    model = core.read_model(norm_after_convolution())
    if blocks:
        import openvino.opset13 as opset

        assert sum_norms_in_blocks(model, opset, precision) == 1
    hint = {"fp32": "f32", "bf16": "bf16"}[precision]
    answer = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint})(mostly_background())
    return np.array(answer[0]), np.array(answer[1]).astype(np.float64)


def expected(convolved):
    axes = (2, 3, 4)
    normal = (convolved - convolved.mean(axes, keepdims=True)) / np.sqrt(convolved.var(axes, keepdims=True) + EPSILON)
    column = (1, CHANNELS, 1, 1, 1)
    return normal * np.linspace(1, 2, CHANNELS).reshape(column) + np.linspace(-1, 1, CHANNELS).reshape(column)


def test_sums_of_blocks_are_exact_where_openvinos_own_are_not():
    plain, convolved = run(blocks=False)
    blocks, same = run(blocks=True)
    assert np.array_equal(convolved, same)
    error = np.abs(blocks - expected(convolved)).max()
    assert error < 2e-4  # of values up to 10: float32 sums of 512, at most 512 roundings of 6e-8 each
    assert error < np.abs(plain - expected(convolved)).max() / 10


def test_in_16_bits_the_norm_stays_within_16_bits_rounding():
    if "bf16" not in cpu_precisions():
        pytest.skip("this processor has no BF16")
    blocks, convolved = run(blocks=True, precision="bf16")
    assert np.abs(blocks - expected(convolved)).max() < 0.05


def test_short_sums_are_left_to_openvino():
    openvino = import_openvino()
    import openvino.opset13 as opset

    x = opset.parameter((1, 4, 16, 16, 16), np.float32)
    norm = opset.mvn(x, np.array([2, 3, 4]), True, 1e-3, "inside_sqrt")
    assert sum_norms_in_blocks(openvino.Model([norm], [x], "short"), opset, "fp32") == 0
