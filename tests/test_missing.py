"""Modalities that a case lacks: left out where the encoders meet, and said so everywhere."""

from __future__ import annotations

import json
from itertools import combinations

import heads
import numpy as np
import onnx
import pytest
from cases import save
from models import tiny_model
from onnx import helper, numpy_helper
from references import checkpoint, run_onnxruntime

from brats_trt import CaseError, CaseWarning, EngineError, Segmenter
from brats_trt.backends.model import read_model
from brats_trt.backends.native import NativeEngine
from brats_trt.backends.openvino import OpenVinoEngine
from brats_trt.confidence import STRUCTURES, Calibration, Curve, StructureCalibration
from brats_trt.confidence.fit import with_calibration
from brats_trt.export import convert
from brats_trt.export.rewrites.absent import leave_out
from brats_trt.export.rewrites.draft import Draft
from brats_trt.records import read_record
from brats_trt.records.verification import verify
from brats_trt.spec import INCOMPLETE_KEY, MODALITIES

SETS = [absent for number in (1, 2, 3) for absent in combinations(range(4), number)]
# Softmax of two runtimes on random weights at 64^3: norms of few voxels make the most of sums in another order.
RUNTIMES = 2e-4


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Says that it was trained without modalities, which random weights are not."""
    path = tmp_path_factory.mktemp("model") / "random.onnx"
    convert(*checkpoint("random-f1"), path, size=64, incomplete=True)
    return path


@pytest.fixture(scope="module")
def crop():
    return np.random.default_rng(0).random((1, 4, 64, 64, 64), np.float32)


@pytest.fixture(scope="module")
def native(model):
    return NativeEngine(read_model(model), precision="fp32")


def answer(engine, crop, absent=()):
    softmax = np.empty_like(crop)
    engine.infer(np.ascontiguousarray(crop), softmax, absent)
    return softmax


def without(model, absent):
    """The graph with a great number taken off the absent parts before each maximum."""
    graph = onnx.load(model)
    nodes = []
    for node in graph.graph.node:
        if node.op_type == "Max":
            for channel in absent:
                lowered = f"{node.input[channel]}_lowered"
                nodes.append(helper.make_node("Sub", [node.input[channel], "great"], [lowered]))
                node.input[channel] = lowered
        nodes.append(node)
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    graph.graph.initializer.append(numpy_helper.from_array(np.float32(1e9), "great"))
    return graph.SerializeToString()


@pytest.mark.parametrize("absent", SETS)
def test_absent_modalities_take_no_part_in_any_maximum(model, native, crop, absent):
    expected = run_onnxruntime(without(model, absent), crop)
    found = answer(native, crop, absent)
    assert abs(found - expected).max() < RUNTIMES
    assert abs(found - answer(native, crop)).max() > 10 * RUNTIMES


def test_openvino_leaves_them_out_too(model, native, crop):
    engine = OpenVinoEngine(read_model(model), precision="fp32")
    complete = answer(engine, crop)
    for absent in ((1,), (0, 2, 3), (1,)):
        assert abs(answer(engine, crop, absent) - answer(native, crop, absent)).max() < RUNTIMES
        assert len(engine._requests) == 2, "one beside the complete one"
    assert np.array_equal(answer(engine, crop), complete)


def test_what_an_absent_channel_holds_does_not_matter(native, crop):
    other = crop.copy()
    other[:, 2] = 7.0
    assert np.array_equal(answer(native, crop, (2,)), answer(native, other, (2,)))
    assert not np.array_equal(answer(native, crop), answer(native, other))


def test_a_rewritten_graph_is_complete_and_leaves_out_what_it_says(model, crop):
    draft = Draft(onnx.load(model))
    leave_out(draft, (0, 3))
    rewritten = draft.finish().SerializeToString()
    assert abs(run_onnxruntime(rewritten, crop) - run_onnxruntime(without(model, (0, 3)), crop)).max() < RUNTIMES
    again = Draft(onnx.load(model))
    leave_out(again, ())
    assert np.array_equal(run_onnxruntime(again.finish().SerializeToString(), crop), run_onnxruntime(model, crop))


@pytest.mark.parametrize("absent", [(0, 1, 2, 3), (4,), (-1,)])
def test_a_channel_that_is_not_there_cannot_be_left_out(model, native, crop, absent):
    with pytest.raises(ValueError, match="up to three of 0 to 3"):
        leave_out(Draft(onnx.load(model)), absent)
    with pytest.raises(ValueError, match="absent"):
        native._network.run(crop, np.empty_like(crop), absent)


def test_a_graph_without_maxima_is_refused(tmp_path):
    with pytest.raises(EngineError, match="has no maximum over its modalities"):
        leave_out(Draft(onnx.load(tiny_model(tmp_path / "tiny.onnx"))), (1,))


@pytest.fixture(scope="module", params=["native", "openvino"])
def segmenter(request, model):
    return Segmenter(model, precision="fp32", runtime=request.param, missing="mask", min_region=0)


def case(*absent, **options):
    return {name: volume for name, volume in heads.volumes(**options).items() if name not in absent}


def test_a_case_without_modalities_is_segmented_and_says_so(segmenter):
    with pytest.warns(CaseWarning, match="t2, flair were not given, and the labels are what the others show; oedema"):
        result = segmenter.run(case("t2", "flair"))
    assert result.masked == ("t2", "flair")
    assert any("t2, flair were not given" in warning for warning in result.warnings)
    assert [volume.modality for volume in result.record.inputs] == ["t1", "t1ce"]
    assert result.record.masked == ("t2", "flair")
    assert result.record.options.missing == "mask"


@pytest.mark.filterwarnings("ignore::brats_trt.CaseWarning")
def test_complete_and_incomplete_cases_do_not_disturb_each_other(segmenter):
    cases = [case(), case("t1ce"), case(seed=1), case("t1", "t2", "flair", seed=1), case("t1ce", seed=1), case()]
    alone = [segmenter.run(each) for each in cases]
    assert np.array_equal(alone[0].softmax, alone[-1].softmax)
    assert not np.array_equal(alone[0].softmax, alone[1].softmax)
    together = [outcome.result for outcome in segmenter.run_many(cases)]
    for found, expected in zip(together, alone, strict=True):
        assert found.masked == expected.masked
        assert np.array_equal(found.softmax, expected.softmax)


@pytest.mark.filterwarnings("ignore::brats_trt.CaseWarning")
def test_the_mirrored_input_lacks_the_same(model):
    given = case("t2")
    plain = Segmenter(model, precision="fp32", missing="mask").run(given)
    both = Segmenter(model, precision="fp32", missing="mask", tta=True).run(given)
    assert np.array_equal(both.softmax[0], plain.softmax[0])
    flipped = {name: volume[:, ::-1] for name, volume in given.items()}
    assert both.softmax[1].shape == plain.softmax[0].shape
    assert not np.array_equal(both.softmax[1], both.softmax[0])
    assert Segmenter(model, precision="fp32", missing="mask").run(flipped).masked == ("t2",)


@pytest.mark.filterwarnings("ignore::brats_trt.CaseWarning")
def test_a_masked_run_is_verified_by_what_came(model, tmp_path):
    folder = tmp_path / "P1"
    folder.mkdir()
    for name, volume in case("t1ce").items():
        save(folder / f"P1_{name}.nii.gz", volume)
    Segmenter(model, precision="fp32", missing="mask").run(folder).save(tmp_path / "labels.nii.gz")
    assert read_record(tmp_path / "labels.nii.gz").masked == ("t1ce",)
    assert verify(tmp_path / "labels.nii.gz", [folder], engine=model).holds
    files = sorted(folder.iterdir())
    assert verify(tmp_path / "labels.nii.gz", files).holds
    save(folder / "P1_t1ce.nii.gz", heads.volumes()["t1ce"])
    assert verify(tmp_path / "labels.nii.gz", [folder]).holds, "what was not used is not asked for"
    files[0].unlink()
    with pytest.raises(CaseError, match="no input for flair"):
        verify(tmp_path / "labels.nii.gz", [folder])


def test_without_the_option_a_missing_modality_is_refused_and_the_way_out_named(model, tmp_path):
    segmenter = Segmenter(model, precision="fp32")
    with pytest.raises(CaseError, match=r"no volume for t1ce; .*missing='mask' \(--missing mask\)"):
        segmenter.run(case("t1ce"))
    save(tmp_path / "P1_t1.nii.gz", heads.volumes()["t1"])
    with pytest.raises(CaseError, match=r"no file for t2, t1ce, flair; .*missing='mask'"):
        segmenter.run(tmp_path)


def test_a_case_without_any_modality_is_refused_in_any_way(model, tmp_path):
    segmenter = Segmenter(model, precision="fp32", missing="mask")
    with pytest.raises(CaseError, match="no volume for t1, t2, t1ce, flair"):
        segmenter.run({})
    with pytest.raises(CaseError, match="no file for t1, t2, t1ce, flair"):
        segmenter.run(tmp_path)
    with pytest.raises(CaseError, match=r"expected \(X, Y, Z, 4\)"):
        segmenter.run(np.ones((8, 8, 8, 3)))


@pytest.mark.filterwarnings("ignore::brats_trt.CaseWarning")
def test_a_calibration_of_complete_cases_is_not_used_for_others(model, tmp_path):
    curve = StructureCalibration(Curve(((0.5, 0.5),)), Curve(((0.5, 0.5),)))
    with_calibration(model, Calibration("phantoms", dict.fromkeys(STRUCTURES, curve)), tmp_path / "calibrated.onnx")
    segmenter = Segmenter(tmp_path / "calibrated.onnx", precision="fp32", missing="mask")
    assert segmenter.run(case()).confidence == dict.fromkeys(STRUCTURES, 0.5)
    assert segmenter.run(case("t1")).confidence is None


def test_a_strict_run_does_not_mask(model):
    with pytest.raises(CaseError, match=r"refused as strict demands.*t2 was not given"):
        Segmenter(model, precision="fp32", missing="mask", strict=True).run(case("t2"))


def test_only_models_that_were_trained_so_are_masked(model, tmp_path):
    plain = tmp_path / "plain.onnx"
    convert(*checkpoint("random-f1"), plain, size=64)
    with pytest.raises(EngineError, match="does not say that it was trained with modalities left out"):
        Segmenter(plain, missing="mask")
    with pytest.raises(EngineError, match="on the CPU only"):
        Segmenter(model, missing="mask", device="cuda")
    with pytest.raises(ValueError, match="missing 'guess' is not known"):
        Segmenter(model, missing="guess")
    odd = onnx.load(model)
    next(entry for entry in odd.metadata_props if entry.key == INCOMPLETE_KEY).value = "perhaps"
    onnx.save(odd, tmp_path / "odd.onnx")
    with pytest.raises(EngineError, match=r"'perhaps' for brats_trt\.incomplete_cases; expected 'trained'"):
        Segmenter(tmp_path / "odd.onnx")


def test_the_command_masks_on_request_only(run, model, tmp_path):
    folder = tmp_path / "P1"
    folder.mkdir()
    for name, volume in case("t1ce").items():
        save(folder / f"P1_{name}.nii.gz", volume)
    call = ("segment", folder, "-o", tmp_path / "out", "--engine", model, "--json", "--preview")
    code, _, err = run(*call)
    assert code == 2
    assert "--missing mask" in err
    assert not (tmp_path / "out").exists()
    code, out, err = run(*call, "--missing", "mask")
    assert code == 0, err
    assert "t1ce was not given" in " ".join(err.split())
    (found,) = json.loads(out)["cases"]
    assert found["masked"] == found["record"]["masked"] == ["t1ce"]
    assert (tmp_path / "out" / "P1_preview.png").exists()


def test_pictures_and_pages_show_what_there_is(model, words, tmp_path, monkeypatch):
    from brats_trt.pictures import save_preview
    from brats_trt.report import case_page, save_report

    monkeypatch.setattr(case_page, "load_viewer", lambda: b"")
    with pytest.warns(CaseWarning):
        result = Segmenter(model, precision="fp32", missing="mask", keep_volumes=True).run(case("t1ce"))
    save_preview(result, tmp_path / "p.png")
    titles = {word for word in words if word in ("T1", "T1ce", "T2", "FLAIR") or word.startswith(("Segm", "Outl"))}
    assert titles == {"T1", "T2", "FLAIR", "Segmentation on FLAIR", "Outlines on FLAIR"}
    save_report(result, tmp_path / "p.html")
    page = (tmp_path / "p.html").read_text()
    assert 'id="volume-flair"' in page
    assert 'id="volume-t1ce"' not in page
    assert 'value="t1ce"' not in page
    assert "t1ce was not given" in page


def test_converting_marks_a_model_on_request(run, tmp_path):
    for flags, marked in ((["--incomplete"], True), ([], False)):
        path = tmp_path / f"{marked}.onnx"
        code, _, err = run("convert", *checkpoint("random-f1"), "-o", path, "--size", 64, *flags)
        assert code == 0, err
        assert read_model(path).takes_incomplete is marked


def test_every_set_of_modalities_is_tried():
    assert len(SETS) == 2**4 - 2
    assert {MODALITIES[channel] for absent in SETS for channel in absent} == set(MODALITIES)
