from __future__ import annotations

import numpy as np
import onnx
import pytest
from mxnet_files import SymbolWriter, small_network, write_params
from mxnet_sums import with_sequential_sums
from references import SIZES, answers, checkpoint, run_onnxruntime, run_openvino

from brats_trt import EngineError, _host
from brats_trt.backends.cascade import UnknownGraphError
from brats_trt.backends.model import read_model
from brats_trt.backends.native import NativeEngine
from brats_trt.backends.openvino import OpenVinoEngine
from brats_trt.export import convert
from brats_trt.export.network import build_network
from brats_trt.export.symbol import Edge, Node, Symbol

# Softmax against MXNet's, absolute, where the norms are summed in MXNet's order; rounding of the convolutions is left.
SAME_SUMS = 1e-4
# Against MXNet's as it stands, mean absolute and share of voxels of another class: MXNet's own rounding of the norms'
# sums, see `mxnet_sums`. Random weights put many voxels between two classes, trained ones few.
AS_IT_STANDS = {"random-f1": (2e-4, 2e-3), "phantom-f2": (2e-5, 5e-5)}
# The same of the engine that ships, at the worst voxel: what MXNet is off from norms in float64 (docs/accuracy.md).
AT_WORST = {"random-f1": 2e-3, "phantom-f2": 2e-2}


@pytest.fixture(scope="module", params=SIZES)
def reference(request, tmp_path_factory):
    """The name of a reference checkpoint and the path of its conversion."""
    path = tmp_path_factory.mktemp("reference") / "x.onnx"
    convert(*checkpoint(request.param), path, size=SIZES[request.param])
    return request.param, path


def test_softmax_is_mxnets_where_the_norms_are_summed_in_its_order(reference):
    name, path = reference
    crop, expected, classes = answers(name)
    found = run_onnxruntime(with_sequential_sums(onnx.load(path)).SerializeToString(), crop)
    assert abs(found[:, :, ::4, ::4, ::4] - expected).max() < SAME_SUMS
    assert (found.argmax(axis=1) != classes).mean() < 1e-5


@pytest.mark.parametrize("run", [run_openvino, run_onnxruntime])
def test_softmax_is_mxnets_up_to_its_rounding_as_it_stands(reference, run):
    name, path = reference
    crop, expected, classes = answers(name)
    found = run(path, crop)
    mean, share = AS_IT_STANDS[name]
    assert abs(found[:, :, ::4, ::4, ::4] - expected).mean() < mean
    assert (found.argmax(axis=1) != classes).mean() < share


@pytest.mark.parametrize("make", [NativeEngine, OpenVinoEngine])
def test_softmax_of_the_engines_that_ship_is_mxnets_up_to_mxnets_rounding(reference, make):
    name, path = reference
    crop, expected, classes = answers(name)
    found = np.empty_like(crop)
    make(read_model(path), precision="fp32").infer(crop, found)
    difference = abs(found[:, :, ::4, ::4, ::4] - expected)
    mean, share = AS_IT_STANDS[name]
    assert difference.max() < AT_WORST[name]
    assert difference.mean() < mean
    assert (found.argmax(axis=1) != classes).mean() < share


def test_bfloat16_moves_boundary_voxels_only_and_takes_whole_words_of_channels(reference):
    if "bf16" not in _host.network_precisions():
        pytest.skip("this processor does not multiply bfloat16")
    name, path = reference
    if name == "random-f1":  # one channel a group, of two that a word holds
        with pytest.raises(UnknownGraphError, match=r"no multiple of 2: use runtime='openvino'"):
            NativeEngine(read_model(path), precision="bf16")
        return
    crop, _, _ = answers(name)
    found, exact = np.empty_like(crop), np.empty_like(crop)
    NativeEngine(read_model(path), precision="bf16").infer(crop, found)
    NativeEngine(read_model(path), precision="fp32").infer(crop, exact)
    # A Dice of 0.999 of structures that fill a twentieth of the crop allows for as many.
    assert (found.argmax(axis=1) != exact.argmax(axis=1)).mean() < 1e-4
    assert abs(found.sum(axis=1) - 1).max() < 1e-6


def test_the_model_is_valid_and_static(reference):
    name, path = reference
    size = SIZES[name]
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(path)
    assert model.opset_import[0].version >= 17
    for (value,), tensor in ((model.graph.input, "data_crop"), (model.graph.output, "softmax_lbl3")):
        assert value.name == tensor
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        assert [axis.dim_value for axis in value.type.tensor_type.shape.dim] == [1, 4, size, size, size]


def test_the_shapes_in_the_model_are_those_that_onnx_infers(reference):
    model = onnx.load(reference[1])
    written = {value.name: value for value in model.graph.value_info}
    del model.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph.value_info
    assert {value.name: value for value in inferred} == written


def test_the_fusion_is_an_elementwise_maximum_and_nothing_dead_is_left(reference):
    model = onnx.load(reference[1])
    operators = [node.op_type for node in model.graph.node]
    assert operators.count("Max") == operators.count("Split") == 12
    assert set(operators) == {
        *("Conv", "ConvTranspose", "InstanceNormalization", "Relu", "Add"),
        *("Split", "Max", "Concat", "AveragePool", "Softmax"),
    }
    read = {name for node in model.graph.node for name in node.input} | {"softmax_lbl3"}
    assert all(read.intersection(node.output) for node in model.graph.node)
    assert all(tensor.name in read for tensor in model.graph.initializer)


def test_names_are_the_symbols_and_repeated_ones_tell_their_network(reference):
    model = onnx.load(reference[1])
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)
    for stage in ("seg_onlynet32", "seg_onlynet64", "seg_onlynet128"):
        assert {f"{stage}rb1relu1", f"{stage}rb7sum", f"{stage}rb1norm1"} <= set(names)
    assert {"seg_onlynet32softmax_lbl", "seg_onlynet64softmax_lbl", "softmax_lbl3", "convolution8"} <= set(names)
    producers = {output: node.name for node in model.graph.node for output in node.output}
    relu = next(node for node in model.graph.node if node.name == "seg_onlynet64rb5relu2")
    assert producers[relu.input[0]] == "seg_onlynet64rb5norm2"


def test_the_literal_fusion_gives_the_same_bits(tmp_path):
    crop, _, _ = answers("random-f1")
    found = {}
    for fusion in ("max", "stack"):
        path = tmp_path / f"{fusion}.onnx"
        convert(*checkpoint("random-f1"), path, size=64, fusion=fusion)
        found[fusion] = run_onnxruntime(path, crop)
    operators = [node.op_type for node in onnx.load(tmp_path / "stack.onnx").graph.node]
    assert operators.count("ReduceMax") == 12
    assert "Max" not in operators
    assert np.array_equal(found["max"], found["stack"])


class Small:
    """The small network's files, changed before they are converted."""

    def __init__(self, folder):
        self.folder = folder
        self.symbol, self.head, self.arrays = small_network()

    def add(self, *arguments, **attributes):
        return self.symbol.add(*arguments, **attributes)

    def node(self, name):
        return next(node for node in self.symbol.nodes if node["name"] == name)

    def convert(self, *heads, fusion="max"):
        files = self.symbol.write(self.folder / "x.json", *(heads or (self.head,))), self.folder / "x.params"
        report = convert(
            files[0],
            write_params(files[1], self.arrays),
            self.folder / "x.onnx",
            size=32,
            fusion=fusion,
            overwrite=True,
        )
        return report, onnx.load(report.output)


@pytest.fixture
def small(tmp_path):
    return Small(tmp_path)


def test_the_output_is_the_last_head_and_the_others_are_left_out(small):
    loss = small.add("MakeLoss", "loss", small.head, small.symbol.variable("truth"))
    report, model = small.convert(loss, small.head)
    assert [value.name for value in model.graph.output] == ["softmax_lbl3"]
    assert any("2 outputs; the last is softmax_lbl3, left out: loss" in note for note in report.notes)
    with pytest.raises(
        EngineError, match=r"node 'loss' .MakeLoss.: the last output comes from here; expected a softmax"
    ):
        small.convert(small.head, loss)


def test_arrays_of_dead_parts_are_left_out_and_said_to_be(small):
    alone, _ = small.convert()
    dead = small.symbol.variable("dead_weight")
    small.add("Unheard", "dead", small.head, dead)
    small.arrays["dead_weight"] = np.zeros((2, 3), np.float32)
    report, model = small.convert()
    assert report.parameters == alone.parameters == 16 * 27 + 3 * 16
    assert any("the output does not depend on some arrays, left out: 'dead_weight'" in note for note in report.notes)
    assert {tensor.name for tensor in model.graph.initializer} == set(small.arrays) - {"dead_weight"}


def test_dropout_is_left_out(small):
    small.add("Dropout", "dropped", small.head, p=0.5)
    _, model = small.convert((len(small.symbol.nodes) - 1, 0))
    assert [node.op_type for node in model.graph.node][-1] == "Softmax"
    assert len(model.graph.node) == 6


def test_a_stack_with_another_reader_stays(small):
    small.node("fused")["attrs"]["keepdims"] = "True"
    small.add("max", "again", (small.symbol.nodes.index(small.node("stack")), 0), axis=5)
    _, model = small.convert(small.add("softmax", "other", (len(small.symbol.nodes) - 1, 0), axis=1))
    assert "Max" in [node.op_type for node in model.graph.node]
    with pytest.raises(EngineError, match=r"softmax of the shape \(1, 4, 32, 32, 32, 1\)"):
        small.convert()


def test_a_stack_on_the_last_axis_counted_from_the_end_is_fused_too(small):
    for name in ("fused", "stack"):
        small.node(name)["attrs"]["axis"] = "-1"
    assert [node.op_type for node in small.convert()[1].graph.node].count("Max") == 1


@pytest.mark.parametrize(("axis", "shape"), [(1, "1, 32, 32, 32, 4"), (4, "1, 4, 32, 32, 4")])
def test_a_maximum_over_another_axis_than_the_stacks_is_not_fused(small, axis, shape):
    small.node("fused")["attrs"]["axis"] = str(axis)
    with pytest.raises(EngineError, match=rf"softmax of the shape \({shape}\)"):
        small.convert()


@pytest.mark.parametrize("node", ["fused", "stack"])
def test_an_unknown_attribute_of_the_fusion_is_refused(small, node):
    small.node(node)["attrs"]["ratio"] = "2"
    with pytest.raises(EngineError, match=f"node '{node}' .*'ratio' is '2'"):
        small.convert()


def test_the_input_may_have_another_name(small):
    small.node("data_crop")["name"] = "data"
    _, model = small.convert()
    assert [value.name for value in model.graph.input] == ["data_crop"]


@pytest.mark.parametrize("taken", ["softmax_lbl3", "data_crop"])
def test_a_layer_that_has_the_inputs_or_the_outputs_name_gets_another(small, taken):
    small.node("data_crop")["name"] = "data"
    small.node("relu")["name"] = taken
    _, model = small.convert()
    assert next(node for node in model.graph.node if node.op_type == "Relu").name == f"{taken}_2"


def test_repeated_names_without_a_network_are_numbered(small):
    for name in ("norm", "relu", "fused"):
        small.node(name)["name"] = "same"
    _, model = small.convert()
    names = [node.name for node in model.graph.node]
    assert names[1:3] == ["first_net1same", "first_net1same_2"]
    assert len(set(names)) == len(names)


def test_a_missing_array_is_named(small):
    del small.arrays["norm_beta"]
    with pytest.raises(EngineError, match="arrays of the network are not in the checkpoint: 'norm_beta'"):
        small.convert()


def test_an_array_of_no_node_is_named(small):
    small.arrays["stranger"] = np.zeros(3, np.float32)
    with pytest.raises(EngineError, match="arrays of the checkpoint are in no node of the network: 'stranger'"):
        small.convert()


def test_an_array_of_the_wrong_shape_is_named_with_its_node(small):
    small.arrays["norm_gamma"] = np.zeros(15, np.float32)
    with pytest.raises(EngineError, match=r"node 'norm' .*'norm_gamma' has the shape \(15,\); expected \(16,\)"):
        small.convert()


def test_an_empty_array_is_named(small):
    small.arrays["norm_gamma"] = np.zeros((16, 0), np.float32)
    with pytest.raises(EngineError, match=r"node 'norm_gamma' .*saved without values"):
        small.convert()


def test_a_network_without_an_input_is_refused(small):
    small.arrays["data_crop"] = np.zeros((1, 4, 32, 32, 32), np.float32)
    with pytest.raises(EngineError, match="the network has no input"):
        small.convert()


def test_two_variables_of_one_name_are_refused(small):
    small.node("norm_beta")["name"] = "norm_gamma"
    del small.arrays["norm_beta"]
    with pytest.raises(EngineError, match=r"node 'norm_gamma' .*two variables have this name"):
        small.convert()


def test_an_output_that_a_node_does_not_have_is_refused(small):
    small.node("norm")["inputs"][0][1] = 1
    with pytest.raises(EngineError, match=r"node 'norm' .*reads output 1 of 'first_net1conv'"):
        small.convert()


def test_doubling_without_end_is_refused():
    symbol = SymbolWriter()
    edge = symbol.variable("data_crop")
    for step in range(60):
        edge = symbol.add("Concat", f"double{step}", edge, edge)
    head = symbol.add("softmax", "softmax", edge, axis=1)
    nodes = tuple(
        Node(node["op"], node["name"], node.get("attrs", {}), tuple(Edge(*entry[:2]) for entry in node["inputs"]))
        for node in symbol.nodes
    )
    with pytest.raises(EngineError, match="does not fit an input of the size"):
        build_network(Symbol(nodes, (Edge(*head),), ""), {}, size=32, fusion="max")
