from __future__ import annotations

import collections

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import integers, single_node
from onnx import TensorProto
from references import checkpoint, run_onnxruntime

from brats_trt.export import convert
from brats_trt.export.rewrites import DECONVOLUTIONS, ENCODERS, GROUPED, NORMS, rewrite
from brats_trt.export.rewrites.grouped import join_groups

SIZE = 64
FLOAT, FLOAT16 = TensorProto.FLOAT, TensorProto.FLOAT16
# Of the softmax, absolute: sums in another order, each right to a few units of 6e-8, through 66 convolutions, between
# which norms keep errors from growing.
FLOAT32_ROUNDING = 2e-6
EXACT = [
    {"norm": "decomposed"},
    {"grouped": "widened16"},
    {"grouped": "widened32"},
    {"grouped": "dense"},
    {"deconvolution": "pixel_shuffle"},
    {"norm": "decomposed", "grouped": "widened16", "deconvolution": "pixel_shuffle"},
    {"encoders": "apart"},
    {"encoders": "finest_joined"},
    {"encoders": "finest_joined", "grouped": "widened16", "norm": "decomposed"},
]
EVERY = [{"norm": n, "grouped": g, "deconvolution": d} for n in NORMS for g in GROUPED for d in DECONVOLUTIONS]
EVERY += [{"norm": n, "grouped": "widened16", "deconvolution": "as_is", "scale": "quarter"} for n in NORMS]
EVERY += [{"norm": n, "encoders": e} for n in NORMS for e in ENCODERS[1:]]
EVERY += [{"norm": "native_half", "grouped": "dense", "scale": "quarter", "encoders": "finest_joined"}]


def name_of(options):
    return "-".join(options.values())


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The demo model's network at a smaller size, by precision."""
    folder = tmp_path_factory.mktemp("models")
    for precision in ("fp32", "fp16"):
        convert(*checkpoint("phantom-f2"), folder / precision, size=SIZE, precision=precision)
    return {precision: onnx.load(folder / precision) for precision in ("fp32", "fp16")}


@pytest.fixture(scope="module")
def crop():
    return np.random.default_rng(3).random((1, 4, SIZE, SIZE, SIZE), np.float32)


@pytest.fixture(scope="module")
def softmax(models, crop):
    return run_onnxruntime(models["fp32"].SerializeToString(), crop)


def types_of(model):
    values = (*model.graph.input, *model.graph.value_info, *model.graph.output)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {tensor.name: tensor.data_type for tensor in model.graph.initializer}


def operators(model):
    return collections.Counter(node.op_type for node in model.graph.node)


def groups(model):
    found = [attribute.i for node in model.graph.node for attribute in node.attribute if attribute.name == "group"]
    return collections.Counter(found)


@pytest.mark.parametrize("options", EXACT, ids=name_of)
def test_a_rewrite_computes_the_same(models, crop, softmax, options):
    found = run_onnxruntime(rewrite(models["fp32"], **options).SerializeToString(), crop)
    assert softmax.std() > 0.05
    assert np.abs(found - softmax).max() < FLOAT32_ROUNDING


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_defaults_leave_the_graph_as_it_is(models, precision):
    model = models[precision]
    found = rewrite(model)
    assert list(found.graph.node) == list(model.graph.node)
    assert list(found.graph.initializer) == list(model.graph.initializer)


@pytest.mark.parametrize("options", EVERY, ids=name_of)
def test_a_rewrite_leaves_its_input_and_what_the_outside_sees(models, options):
    model = models["fp16"]
    before = model.SerializeToString(deterministic=True)
    found = rewrite(model, **options)
    assert model.SerializeToString(deterministic=True) == before
    assert list(found.metadata_props) == list(model.metadata_props)
    assert (found.graph.input, found.graph.output) == (model.graph.input, model.graph.output)
    assert (found.ir_version, found.opset_import, found.graph.doc_string) == (
        model.ir_version,
        model.opset_import,
        model.graph.doc_string,
    )


@pytest.mark.parametrize("options", EVERY, ids=name_of)
def test_every_node_of_a_rewritten_fp16_graph_computes_in_one_type(models, options):
    model = rewrite(models["fp16"], **options)
    types = types_of(model)
    read = {name for node in model.graph.node for name in node.input}
    assert {tensor.name for tensor in model.graph.initializer} <= read
    wide = {
        "Softmax",
        *(("Mul",) if "scale" in options else ()),
        *({"InstanceNormalization"} if options["norm"] == "native_cast" else ()),
    }
    for node in model.graph.node:
        kinds = {types[name] for name in (*node.input, *node.output)} - {TensorProto.INT64}
        if node.op_type == "Cast":
            assert kinds == {FLOAT, FLOAT16}
        elif options["norm"] != "decomposed" or node.op_type in ("Conv", "ConvTranspose", "Relu", "Concat", "Softmax"):
            assert kinds == {FLOAT if node.op_type in wide else FLOAT16}, node.name
        else:
            assert len(kinds) == 1, node.name


def test_half_norms_need_no_casts_and_keep_their_epsilon(models):
    before, after = models["fp16"], rewrite(models["fp16"], norm="native_half")
    assert operators(before)["Cast"] - operators(after)["Cast"] == 2 * 42
    epsilons = {
        attribute.f
        for node in after.graph.node
        if node.op_type == "InstanceNormalization"
        for attribute in node.attribute
    }
    assert epsilons == {np.float32(1e-3)}


def test_groups_become_as_wide_as_asked_for(models):
    # 4 groups of 1, 2, 4, 8, 16, 32 or 64 channels; ConvTranspose and plain convolutions have one group
    widths = {
        name: [
            array.dims[1]
            for array in rewrite(models["fp32"], grouped=name).graph.initializer
            if array.name.endswith(f"_weight_{name}")
        ]
        for name in GROUPED[1:]
    }
    assert set(groups(models["fp32"])) == {1, 4}
    assert set(widths["widened16"]) == {4, 8, 16}  # 4 and 8: there are no more channels
    assert set(widths["widened32"]) == {4, 8, 16, 32}
    assert set(widths["dense"]) == {4, 8, 16, 32, 64, 128, 256}
    assert set(groups(rewrite(models["fp32"], grouped="dense"))) <= {1}
    assert set(groups(rewrite(models["fp32"], grouped="widened16"))) == {1, 2, 4}


def test_no_deconvolution_is_left_by_pixel_shuffle(models):
    before, after = operators(models["fp32"]), operators(rewrite(models["fp32"], deconvolution="pixel_shuffle"))
    assert after["ConvTranspose"] == 0
    assert after["Conv"] == before["Conv"] + before["ConvTranspose"]


@given(
    parts=st.integers(1, 4), joined=st.integers(1, 4), filters=st.integers(1, 3), channels=st.integers(1, 3), seed=...
)
@settings(deadline=None)
def test_joined_groups_give_the_same_sums(parts, joined, filters, channels, seed: int):
    random = np.random.default_rng(abs(seed))
    count = parts * joined
    weight = random.integers(-9, 9, (count * filters, channels, 2, 1, 3))
    data = random.integers(-9, 9, (count * channels, 2, 1, 3))
    wide = join_groups(weight, count, joined)

    apart = np.einsum(
        "gfcxyz,gcxyz->gf",
        weight.reshape(count, filters, channels, 2, 1, 3),
        data.reshape(count, channels, 2, 1, 3),
    )
    together = np.einsum(
        "gfcxyz,gcxyz->gf",
        wide.reshape(parts, joined * filters, joined * channels, 2, 1, 3),
        data.reshape(parts, joined * channels, 2, 1, 3),
    )
    assert np.array_equal(together.ravel(), apart.ravel())


@pytest.mark.parametrize("block", [(2, 2, 2), (3, 1, 2)])
@pytest.mark.parametrize("bias", [False, True])
def test_the_blocks_of_a_deconvolution_land_where_they_belong(block, bias):
    arrays = [integers(5, 3, *block), *([integers(3, seed=1)] if bias else [])]
    whole = [n * s for n, s in zip((4, 3, 2), block, strict=True)]
    model = single_node(
        "ConvTranspose", arrays, shape=(2, 5, 4, 3, 2), output=(2, 3, *whole), kernel_shape=block, strides=block
    )
    data = integers(2, 5, 4, 3, 2, seed=2)
    found = run_onnxruntime(rewrite(model, deconvolution="pixel_shuffle").SerializeToString(), data)
    assert np.array_equal(found, run_onnxruntime(model.SerializeToString(), data))


@pytest.mark.parametrize("options", [{}, {"epsilon": 0.5}], ids=["default", "half"])
def test_the_decomposed_norm_is_the_formula_with_its_epsilon(options):
    gamma, beta = np.array([1, 2, -3], np.float32), np.array([0, 5, 7], np.float32)
    shape = (2, 3, 4, 5, 6)
    model = rewrite(
        single_node("InstanceNormalization", [gamma, beta], shape=shape, output=shape, **options), norm="decomposed"
    )
    data = np.random.default_rng(0).random(shape, np.float32) / 100
    wide = data.astype(np.float64)
    centred = wide - wide.mean((2, 3, 4), keepdims=True)
    column = (1, 3, 1, 1, 1)
    expected = centred / np.sqrt(wide.var((2, 3, 4), keepdims=True) + options.get("epsilon", 1e-5))
    expected = expected * gamma.reshape(column) + beta.reshape(column)
    assert operators(model)["InstanceNormalization"] == 0
    assert np.abs(run_onnxruntime(model.SerializeToString(), data) - expected).max() < 1e-5


@pytest.fixture(scope="module")
def tensorrt():
    return pytest.importorskip("tensorrt_rtx", reason="pip install tensorrt-rtx-cu13")


def parsed(tensorrt, model):
    """The builder and the network that TensorRT-RTX's parser makes; no GPU is needed."""
    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    network = builder.create_network(0)
    parser = tensorrt.OnnxParser(network, logger)
    assert parser.parse(model.SerializeToString()), [parser.get_error(n).desc() for n in range(parser.num_errors)]
    return builder, network


@pytest.mark.parametrize("options", EVERY, ids=name_of)
def test_tensorrts_parser_takes_every_rewrite(tensorrt, models, options):
    _, network = parsed(tensorrt, rewrite(models["fp16"], **options))
    kinds = collections.Counter(network.get_layer(index).type for index in range(network.num_layers))
    norms = {"joined": 42, "apart": 114, "finest_joined": 108}[options.get("encoders", "joined")]
    assert kinds[tensorrt.LayerType.NORMALIZATION] == (0 if options["norm"] == "decomposed" else norms)
    assert kinds[tensorrt.LayerType.DECONVOLUTION] == (9 if options.get("deconvolution", "as_is") == "as_is" else 0)
    convolutions = [
        network.get_layer(index)
        for index in range(network.num_layers)
        if network.get_layer(index).type == tensorrt.LayerType.CONVOLUTION
    ]
    assert {layer.get_output(0).dtype for layer in convolutions} == {tensorrt.DataType.HALF}


@pytest.mark.parametrize("norm", NORMS)
def test_tensorrt_builds_every_kind_of_norm(tensorrt, models, norm):
    model = rewrite(models["fp16"], norm=norm, grouped="widened16", deconvolution="pixel_shuffle")
    builder, network = parsed(tensorrt, model)
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    assert plan is not None
    assert plan.nbytes > 0
