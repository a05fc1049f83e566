from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import released_size
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mxnet_files import REFERENCE, array_bytes, params_bytes, small_network, write_params
from references import checkpoint

from brats_trt import CaseError, EngineError, Spec
from brats_trt.backends.model import read_model
from brats_trt.export import conversion, convert, onnx_file
from brats_trt.export.checkpoint import read_checkpoint

RELEASED_PARAMETERS = 38_192_316
RELEASED_WEIGHTS_BYTES = 152_788_159


@pytest.fixture
def files(tmp_path):
    symbol, head, arrays = small_network()
    return symbol.write(tmp_path / "x-symbol.json", head), write_params(tmp_path / "x-0000.params", arrays)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def metadata(path):
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def test_the_report_says_what_was_written_and_from_what(tmp_path):
    symbol, weights = checkpoint("random-f1")
    report = convert(symbol, weights, tmp_path / "x.onnx", size=64)
    assert report.output == tmp_path / "x.onnx"
    assert (report.sha256, report.symbol_sha256, report.weights_sha256) == tuple(
        sha256(path) for path in (report.output, symbol, weights)
    )
    assert report.parameters == sum(np.prod(array.shape) for array in read_checkpoint(weights).arrays.values())
    assert (report.nodes, report.casts, report.precision) == (len(onnx.load(report.output).graph.node), 0, "fp32")
    assert any("12 stacks of modalities" in note for note in report.notes)
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.casts = 1


def test_the_segmenter_takes_the_model_with_its_spec(files, tmp_path):
    spec = Spec(("flair", "t1", "t2", "t1ce"), "card")
    convert(*files, tmp_path / "x.onnx", size=64, spec=spec)
    model = read_model(tmp_path / "x.onnx")
    assert model.spec == spec
    assert model.size == (64, 64, 64)


def test_the_metadata_name_the_sources_the_order_and_the_purpose(files, tmp_path):
    convert(*files, tmp_path / "x.onnx", size=32, precision="fp16")
    found = metadata(tmp_path / "x.onnx")
    assert Spec.from_metadata(found) == Spec()
    assert found["brats_trt.modalities"] == "t1,t2,t1ce,flair"
    assert found["brats_trt.precision"] == "fp16"
    assert (found["brats_trt.symbol_sha256"], found["brats_trt.weights_sha256"]) == tuple(map(sha256, files))
    assert "research use only, not a medical device" in found["brats_trt.notice"].lower()


@pytest.mark.parametrize("symbol", [True, False])
@pytest.mark.parametrize("weights", [True, False])
def test_the_released_files_are_recognised_by_their_sha256(files, tmp_path, monkeypatch, symbol, weights):
    if symbol:
        monkeypatch.setattr(conversion, "RELEASED_SYMBOL_SHA256", sha256(files[0]))
    if weights:
        monkeypatch.setattr(conversion, "RELEASED_WEIGHTS_SHA256", sha256(files[1]))
    report = convert(*files, tmp_path / "x.onnx", size=32)
    said = {
        (True, True): "brain-tumor-segmentation-0001: symbol and weights are as released",
        (
            True,
            False,
        ): "the symbol is that of brain-tumor-segmentation-0001 as released (sha256), the weights are others",
        (
            False,
            True,
        ): "the weights are those of brain-tumor-segmentation-0001 as released (sha256), the symbol is another",
        (False, False): "neither symbol nor weights are those of brain-tumor-segmentation-0001",
    }[symbol, weights]
    assert report.released == (symbol and weights)
    assert said in report.notes[0]
    assert metadata(report.output)["brats_trt.origin"] == report.notes[0]


def test_the_released_sha256_are_the_contracts():
    assert conversion.RELEASED_SYMBOL_SHA256.startswith("2e75c659c6cab619")
    assert conversion.RELEASED_WEIGHTS_SHA256.startswith("d73acc63151f9634")
    assert len(conversion.RELEASED_SYMBOL_SHA256) == len(conversion.RELEASED_WEIGHTS_SHA256) == 64


def test_the_same_files_give_the_same_bytes(files, tmp_path):
    reports = [convert(*files, tmp_path / f"{index}.onnx", size=32, precision="fp16") for index in range(2)]
    assert reports[0].sha256 == reports[1].sha256


def test_an_output_that_exists_is_kept_unless_told_otherwise(files, tmp_path):
    target = tmp_path / "x.onnx"
    target.write_bytes(b"mine")
    with pytest.raises(CaseError, match="exists already and is kept; pass overwrite"):
        convert(*files, target, size=32)
    assert target.read_bytes() == b"mine"
    assert convert(*files, str(target), size=32, overwrite=True).sha256 == sha256(target)


def test_a_failure_leaves_nothing_behind(files, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    files[1].write_bytes(files[1].read_bytes()[:-1])
    with pytest.raises(EngineError, match=f"{files[1]}: not a whole .params file"):
        convert(*files, folder / "x.onnx", size=32)
    assert not list(folder.iterdir())


def test_a_node_that_is_not_understood_is_reported_with_both_files(files, tmp_path):
    files[0].write_text(files[0].read_text().replace("InstanceNorm", "GroupNorm"))
    with pytest.raises(EngineError, match=f"{files[0]} with {files[1]}: node 'norm' .GroupNorm.: this operator"):
        convert(*files, tmp_path / "x.onnx", size=32)


@pytest.mark.parametrize("missing", [0, 1])
def test_a_missing_file_is_named(files, tmp_path, missing):
    files[missing].unlink()
    with pytest.raises(CaseError, match=f"{files[missing]}: there is no such file"):
        convert(*files, tmp_path / "x.onnx", size=32)


def test_swapped_files_are_told_apart(files, tmp_path):
    with pytest.raises(EngineError, match="name the symbol first and the weights second"):
        convert(*files[::-1], tmp_path / "x.onnx", size=32)
    with pytest.raises(EngineError, match="name the weights second and the symbol first"):
        convert(files[0], files[0], tmp_path / "x.onnx", size=32)


def test_a_folder_that_is_not_there_is_named(files, tmp_path):
    with pytest.raises(CaseError, match=str(tmp_path / "none")):
        convert(*files, tmp_path / "none" / "x.onnx", size=32)


@pytest.mark.parametrize("size", [0, -32, 1, 16, 48, 100, 1056, True, 32.0])
def test_a_size_that_the_network_cannot_halve_is_refused(files, tmp_path, size):
    with pytest.raises(CaseError, match=f"size {size} does not fit .* a multiple of 32"):
        convert(*files, tmp_path / "x.onnx", size=size)


@pytest.mark.parametrize("option", [{"precision": "int8"}, {"io": "fp16"}, {"fusion": "sum"}])
def test_an_option_that_is_not_known_is_refused(files, tmp_path, option):
    (name, value), *_ = option.items()
    with pytest.raises(CaseError, match=f"{name} '{value}' is not known; expected one of"):
        convert(*files, tmp_path / "x.onnx", size=32, **option)


@pytest.mark.parametrize("size", [32, 64, 96])
def test_the_cascade_fits_every_multiple_of_32(tmp_path, size):
    report = convert(*checkpoint("random-f1"), tmp_path / "x.onnx", size=size)
    assert read_model(report.output).size == (size,) * 3


@pytest.mark.parametrize("value", [np.nan, 1e6])
def test_values_that_do_not_fit_are_reported_with_the_array(tmp_path, value):
    symbol, head, arrays = small_network()
    arrays["conv_bias"][3] = value
    files = symbol.write(tmp_path / "x.json", head), write_params(tmp_path / "x.params", arrays)
    with pytest.raises(EngineError, match=f"{files[1]}: the array 'conv_bias' holds"):
        convert(*files, tmp_path / "x.onnx", size=32, precision="fp16")
    assert not (tmp_path / "x.onnx").exists()


def test_a_model_that_onnx_does_not_accept_is_not_written(files, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "_IR_VERSION", 999)
    with pytest.raises(EngineError, match="the network is not valid as ONNX"):
        convert(*files, tmp_path / "x.onnx", size=32)
    assert not (tmp_path / "x.onnx").exists()


SYMBOL, HEAD, ARRAYS = small_network()
SYMBOL_TEXT = json.dumps(SYMBOL.document(HEAD))
PARAMS = params_bytes([array_bytes(array) for array in ARRAYS.values()], [f"arg:{name}" for name in ARRAYS])
# Where a word may stand in for another: all that the symbol says.
WORDS = sorted({word for node in SYMBOL.nodes for word in (node["op"], node["name"], *node.get("attrs", {}).values())})


def convert_or_refuse(symbol, params):
    """The report, None where the conversion is refused in one line. Anything else fails the test."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = folder / "x.json", folder / "x.params"
        for path, content in zip(files, (symbol, params), strict=True):
            path.write_bytes(content)
        try:
            report = convert(*files, folder / "x.onnx", size=32, precision="fp16")
        except EngineError as fault:
            message = str(fault)
        else:
            onnx.checker.check_model(str(report.output), full_check=True)
            return report
        assert "\n" not in message
        assert sorted(folder.iterdir()) == sorted(files)
        return None


def test_the_files_of_the_fuzzer_are_converted_when_undamaged():
    assert convert_or_refuse(SYMBOL_TEXT.encode(), PARAMS).casts == 4


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    word=st.sampled_from(WORDS),
    other=st.sampled_from(
        [*WORDS, "(0, 0, 0)", "(9, 9, 9)", "-1", "0", "999999999", "Pooling", "Deconvolution", "é", ""]
    ),
    count=st.integers(1, 3),
)
def test_any_word_of_the_symbol_changed_gives_a_model_or_one_clear_refusal(word, other, count):
    convert_or_refuse(SYMBOL_TEXT.replace(json.dumps(word), json.dumps(other), count).encode(), PARAMS)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    edits=st.lists(st.tuples(st.integers(0, len(SYMBOL_TEXT) - 1), st.integers(0, 255)), min_size=1, max_size=4),
    length=st.integers(0, 4 * len(SYMBOL_TEXT)),
)
def test_any_damage_to_the_symbol_gives_a_model_or_one_clear_refusal(edits, length):
    damaged = bytearray(SYMBOL_TEXT.encode())
    for where, value in edits:
        damaged[where] = value
    convert_or_refuse(bytes(damaged[:length]), PARAMS)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(bit=st.integers(0, 8 * len(PARAMS) - 1), length=st.integers(0, 4 * len(PARAMS)))
def test_any_damage_to_the_weights_gives_a_model_or_one_clear_refusal(bit, length):
    damaged = bytearray(PARAMS)
    damaged[bit // 8] ^= 1 << bit % 8
    convert_or_refuse(SYMBOL_TEXT.encode(), bytes(damaged[:length]))


def test_the_generator_gives_the_references_symbol_and_shapes_at_width_one():
    text = released_size.scaled_symbol(1)
    assert text == released_size.SYMBOL.read_text()
    stored = read_checkpoint(REFERENCE / "random-f1-0000.params").arrays
    assert released_size.array_shapes(json.loads(text)) == {name: array.shape for name, array in stored.items()}


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "itemsize"), [("fp32", 4), ("fp16", 2)])
def test_a_checkpoint_of_the_released_size_converts_within_bounds(tmp_path, precision, itemsize):
    symbol, weights, parameters = released_size.write_checkpoint(tmp_path)
    assert parameters == RELEASED_PARAMETERS
    assert weights.stat().st_size == RELEASED_WEIGHTS_BYTES
    code = (
        "import resource, sys; from brats_trt.export import convert;"
        f"report = convert(*sys.argv[1:4], precision={precision!r});"
        "print(report.parameters, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    target = tmp_path / "x.onnx"
    command = [sys.executable, "-c", code, *map(os.fspath, (symbol, weights, target))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    converted, peak = map(int, done.stdout.split())
    assert converted == RELEASED_PARAMETERS
    assert peak * 1024 < 1.5e9  # KiB, as Linux counts
    assert itemsize * RELEASED_PARAMETERS < target.stat().st_size < itemsize * RELEASED_PARAMETERS + 500_000
    assert read_model(target).size == (128, 128, 128)
