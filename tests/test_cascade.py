from __future__ import annotations

import numpy as np
import onnx
import pytest
from float64_norms import with_float64_norms
from onnx import numpy_helper
from planted import Planted
from references import SIZES, answers, checkpoint, run_onnxruntime

from brats_trt import _host, demo_model
from brats_trt.backends.cascade import UnknownGraphError, build_network
from brats_trt.export import convert

THREADS = 2
# Three times what was measured: 9.5e-6 at the worst voxel of the worst instruction set, rounding of float32 sums; in
# bfloat16 a mean of 1.0e-5 and 30 voxels of 2.1 million, all on boundaries between classes.
FLOAT32 = 3e-5
BFLOAT16_MEAN = 3e-5
BFLOAT16_FLIPPED = 5e-5
HAS_BF16 = "bf16" in _host.network_precisions()


def without_casts(model):
    """A typed graph in float32 throughout, as the network computes it."""
    plain, behind = onnx.ModelProto(), {}
    plain.CopyFrom(model)
    del plain.graph.node[:]
    del plain.graph.value_info[:]
    for node in model.graph.node:
        if node.op_type == "Cast":
            behind[node.output[0]] = behind.get(node.input[0], node.input[0])
            continue
        kept = plain.graph.node.add()
        kept.CopyFrom(node)
        kept.input[:] = [behind.get(name, name) for name in node.input]
    for array in plain.graph.initializer:
        values = numpy_helper.to_array(array)
        if values.dtype == np.float16:
            array.CopyFrom(numpy_helper.from_array(values.astype(np.float32), array.name))
    return plain


def make(precision, instruction_set=None):
    def network(size):
        return _host.Network(size, precision=precision, threads=THREADS, instruction_set=instruction_set)

    return network


def run(model, crop, *, precision="fp32", instruction_set=None):
    network = build_network(model, crop.shape[2:], make(precision, instruction_set))
    softmax = np.full_like(crop, np.nan)
    network.run(crop, softmax)
    return softmax


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """The reference of base width 1."""
    path = tmp_path_factory.mktemp("narrow") / "x.onnx"
    convert(*checkpoint("random-f1"), path, size=SIZES["random-f1"])
    return onnx.load(path)


@pytest.fixture(scope="module")
def demo():
    """The demo model, a crop, and its softmax in float32 with norms in float64."""
    model = onnx.load(demo_model())
    crop = answers("phantom-f2")[0]
    return model, crop, run_onnxruntime(with_float64_norms(without_casts(model)).SerializeToString(), crop)


@pytest.mark.parametrize("instruction_set", [None, "baseline", "avx2", "avx512"])
def test_float32_gives_onnx_runtimes_softmax_with_exact_norms(narrow, instruction_set):
    crop = answers("random-f1")[0]
    try:
        found = run(narrow, crop, instruction_set=instruction_set)
    except ValueError:
        pytest.skip(f"this processor has no {instruction_set}")
    exact = run_onnxruntime(with_float64_norms(narrow).SerializeToString(), crop)
    assert np.abs(found - exact).max() < FLOAT32


def test_float32_gives_the_demo_models_softmax(demo):
    model, crop, exact = demo
    found = run(model, crop)
    assert np.abs(found - exact).max() < FLOAT32
    assert (found.argmax(axis=1) != exact.argmax(axis=1)).mean() < 1e-6


@pytest.mark.skipif(not HAS_BF16, reason="this processor has no BF16")
def test_bfloat16_gives_the_demo_models_classes(demo):
    model, crop, exact = demo
    found = run(model, crop, precision="bf16")
    assert np.abs(found - exact).mean() < BFLOAT16_MEAN
    assert (found.argmax(axis=1) != exact.argmax(axis=1)).mean() < BFLOAT16_FLIPPED


@pytest.mark.skipif(not HAS_BF16, reason="this processor has no BF16")
def test_words_of_two_channels_refuse_groups_of_one(narrow):
    with pytest.raises(UnknownGraphError, match=r"node '.*' \(Conv\): channels of a group .* no multiple of 2"):
        build_network(narrow, (64, 64, 64), make("bf16"))


def written_otherwise(to):
    """The same graph with everything said that may be left out, and left out what may be."""
    to.model.opset_import[0].version = 18
    for node in to.nodes("Split"):
        to.set(node, num_outputs=4)
    for node in to.nodes("InstanceNormalization"):
        to.set(node, epsilon=None)
    for node in to.nodes("Add"):
        node.input[:] = reversed(node.input)
    for node in to.nodes("Max"):
        node.input[:] = reversed(node.input)
    for node in to.nodes("Conv"):
        to.set(node, auto_pad="NOTSET", dilations=[1, 1, 1])
    for node in (*to.nodes("Conv"), *to.nodes("ConvTranspose")):
        to.set(node, kernel_shape=None)


def test_the_same_graph_written_otherwise_gives_the_same_bits(narrow):
    crop = answers("random-f1")[0]
    one, other = Planted(narrow), Planted(narrow)
    for node in one.nodes("InstanceNormalization"):
        one.set(node, epsilon=1e-5)  # ONNX's own
    written_otherwise(other)
    assert np.array_equal(run(one.model, crop), run(other.model, crop))


def test_a_case_that_is_not_finite_is_not_given_a_class(narrow):
    crop = answers("random-f1")[0].copy()
    crop[0, 2, 10, 20, 30] = np.nan
    softmax = run(narrow, crop)
    # The norms take a NaN everywhere.
    assert np.isnan(softmax).all()
