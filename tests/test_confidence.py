"""Entropy, scores and calibrations: what has to hold of them whatever the softmax."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from models import tiny_model
from scipy.optimize import isotonic_regression
from scipy.stats import entropy as scipy_entropy

from brats_trt import CaseError, EngineError
from brats_trt.backends.model import read_model
from brats_trt.confidence import STRUCTURES, Calibration, Curve, RawScore, StructureCalibration, entropy, raw_scores
from brats_trt.confidence.calibration import METADATA_KEY
from brats_trt.confidence.fit import calibrate, fit_curve, isotonic, with_calibration

SHAPE = (4, 5, 6, 7)
SHARES = st.floats(0, 1)
CURVE = Curve(((0.5, 0.25), (0.75, 0.75)))
CALIBRATION = Calibration("12 phantoms", dict.fromkeys(STRUCTURES, StructureCalibration(CURVE, None)))


def softmax(seed=0, sharpness=3.0):
    scores = np.random.default_rng(seed).normal(size=SHAPE) * sharpness
    exponentials = np.exp(scores - scores.max(axis=0))
    return (exponentials / exponentials.sum(axis=0)).astype(np.float32)


def one_hot(classes):
    return np.eye(4, dtype=np.float32)[classes].transpose(3, 0, 1, 2)


# ---------------------------------------------------------------------------------------------------------- entropy


def test_entropy_is_zero_where_one_class_has_all_and_one_where_they_share_alike():
    classes = np.random.default_rng(0).integers(0, 4, SHAPE[1:])
    certain = entropy(one_hot(classes))
    assert certain.dtype == np.float32
    assert certain.shape == SHAPE[1:]
    assert (certain == 0).all()
    np.testing.assert_allclose(entropy(np.full(SHAPE, 0.25, np.float32)), 1, rtol=1e-6)


@pytest.mark.parametrize("sharpness", [0.1, 3.0, 100.0])  # the last has probabilities of 0
def test_entropy_is_that_of_scipy_over_ln_4_and_does_not_know_the_classes_order(sharpness):
    p = softmax(sharpness=sharpness)
    expected = scipy_entropy(p.astype(np.float64), axis=0) / np.log(4)
    np.testing.assert_allclose(entropy(p), expected, atol=2e-6)
    np.testing.assert_allclose(entropy(p[::-1]), entropy(p), atol=1e-6)
    assert 0 <= entropy(p).min() <= entropy(p).max() <= 1


# ----------------------------------------------------------------------------------------------------------- scores


def test_a_certain_answer_scores_one_whether_found_or_absent():
    classes = np.zeros(SHAPE[1:], int)
    assert raw_scores(one_hot(classes)) == dict.fromkeys(STRUCTURES, RawScore(1.0, found=False))
    classes[2, 2, 2], classes[1, 1, 1] = 1, 2
    scores = raw_scores(one_hot(classes))
    assert scores["whole_tumour"] == scores["tumour_core"] == RawScore(1.0, found=True)
    assert scores["enhancing"] == RawScore(1.0, found=False)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.1, 30))
def test_scores_are_those_of_their_formula(seed, sharpness):
    p = softmax(seed, sharpness).astype(np.float64)
    counted = p[0] < np.float32(0.99)
    for name, score in raw_scores(p.astype(np.float32)).items():
        own = p[list(STRUCTURES[name])].sum(axis=0) * counted
        labelled = np.isin(p.argmax(axis=0), STRUCTURES[name]) & counted
        assert score.found == labelled.any()
        soft_dice = 2 * own[labelled].sum() / max(own.sum() + labelled.sum(), 1e-9)
        expected = soft_dice if score.found else 1 - own.max()
        assert score.value == pytest.approx(expected, abs=1e-5)
        assert 0 <= score.value <= 1


def test_a_less_certain_answer_scores_less():
    classes = np.random.default_rng(3).integers(0, 4, SHAPE[1:])
    certain = one_hot(classes)
    blended = [raw_scores((1 - share) * certain + np.float32(share / 4)) for share in (0.0, 0.2, 0.4, 0.6)]
    for name in STRUCTURES:
        values = [scores[name].value for scores in blended]
        assert values == sorted(values, reverse=True)
        assert values[0] > values[-1]


def test_voxels_far_from_every_tumour_count_for_nothing():
    p = np.zeros((4, 40, 40, 40), np.float32)
    p[0], p[2] = 0.995, 0.005
    p[:, 20, 20, 20] = (0.0, 0.0, 1.0, 0.0)
    assert raw_scores(p)["whole_tumour"] == RawScore(1.0, found=True)


# ------------------------------------------------------------------------------------------------------------ curves


@settings(max_examples=100, deadline=None)
@given(npst.arrays(np.float64, st.integers(1, 40), elements=st.floats(-5, 5, width=32)), st.integers(0, 99))
def test_pooling_is_scipys_isotonic_regression(values, seed):
    weights = np.random.default_rng(seed).uniform(0.1, 5, len(values))
    expected = isotonic_regression(values, weights=weights).x
    np.testing.assert_allclose(isotonic(values, weights), expected, atol=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(SHARES, SHARES), min_size=1, max_size=60), st.integers(1, 8), SHARES, SHARES)
def test_a_fitted_curve_never_puts_two_cases_in_another_order(cases, knots, first, second):
    curve = fit_curve(*np.array(cases).T, knots=knots)
    assert 1 <= len(curve.knots) <= max(1, min(knots, len(cases) // 5))
    low, high = sorted((first, second))
    assert 0 <= curve.at(low) <= curve.at(high) <= 1


def test_a_curve_is_linear_between_its_knots_and_constant_beyond():
    assert [CURVE.at(raw) for raw in (0, 0.5, 0.625, 0.75, 1)] == [0.25, 0.25, 0.5, 0.75, 0.75]


def test_a_curve_finds_the_mean_dice_of_scores_again():
    raw = np.linspace(0.5, 1, 2000)
    dice = np.clip(raw**3 + np.random.default_rng(0).normal(0, 0.02, len(raw)), 0, 1)
    curve = fit_curve(raw, dice)
    assert len(curve.knots) == 5
    assert [curve.at(at) for at in (0.6, 0.75, 0.9)] == pytest.approx([0.6**3, 0.75**3, 0.9**3], abs=0.02)


@pytest.mark.parametrize(
    ("raw", "dice", "message"),
    [
        ([], [], "one of each a case"),
        ([0.5], [0.5, 0.6], "one of each a case"),
        ([0.5], [np.nan], "not from 0 to 1"),
        ([1.5], [0.5], "not from 0 to 1"),
    ],
)
def test_a_curve_of_no_cases_or_no_shares_is_refused(raw, dice, message):
    with pytest.raises(ValueError, match=message):
        fit_curve(raw, dice)


@pytest.mark.parametrize(
    "knots",
    [(), ((0.5, 1.5),), ((float("nan"), 0.5),), ((0.5, 0.5), (0.5, 0.6)), ((0.5, 0.5), (0.6, 0.4))],
)
def test_a_curve_that_falls_or_leaves_the_shares_is_refused(knots):
    with pytest.raises(EngineError, match="knots"):
        Curve(knots)


def test_found_and_absent_structures_have_curves_of_their_own():
    names = [name.replace("_", " ") for name in STRUCTURES]
    cases = [(dict.fromkeys(STRUCTURES, RawScore(0.9, found=True)), dict.fromkeys(names, 0.8))] * 10
    calibration = calibrate(cases, fitted_on="10 phantoms")
    assert calibration.expected(dict.fromkeys(STRUCTURES, RawScore(0.5, found=True)))["enhancing"] == pytest.approx(0.8)
    unknown = calibration.expected(dict.fromkeys(STRUCTURES, RawScore(0.5, found=False)))
    assert unknown == dict.fromkeys(STRUCTURES, None)
    absent = (dict.fromkeys(STRUCTURES, RawScore(0.99, found=False)), dict.fromkeys(names, 1.0))
    both = calibrate([*cases, absent], fitted_on="11 phantoms")
    assert both.expected(absent[0]) == dict.fromkeys(STRUCTURES, 1.0)
    with pytest.raises(ValueError, match="no cases"):
        calibrate([], fitted_on="nothing")


# --------------------------------------------------------------------------------------------------------- documents


def test_a_calibration_comes_back_from_metadata_and_from_a_models_file(tmp_path):
    assert Calibration.from_metadata(CALIBRATION.to_metadata()) == CALIBRATION
    assert Calibration.from_metadata({}) is None
    plain = tiny_model(tmp_path / "plain.onnx")
    with_calibration(plain, CALIBRATION, tmp_path / "calibrated.onnx")
    before, after = read_model(plain), read_model(tmp_path / "calibrated.onnx")
    assert (before.calibration, after.calibration) == (None, CALIBRATION)
    assert (before.spec, before.size) == (after.spec, after.size)
    other = Calibration("others", CALIBRATION.structures)
    with_calibration(tmp_path / "calibrated.onnx", other, tmp_path / "calibrated.onnx", overwrite=True)
    assert read_model(tmp_path / "calibrated.onnx").calibration == other, "one takes the place of the other"
    with pytest.raises(CaseError, match="exists already"):
        with_calibration(plain, CALIBRATION, tmp_path / "calibrated.onnx")


def broken(change):
    document = CALIBRATION.to_document()
    change(document)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[" * 20000 + "]" * 20000, "not JSON"),
        ('{"a": 1, "a": 1}', "twice"),
        ('{"a": NaN}', "NaN"),
        ("[]", "an object"),
        (" " * 70000, "70000 characters"),
        (broken(lambda d: d.update(schema_version=2)), "schema_version is 2"),
        (broken(lambda d: d.update(schema_version=True)), "schema_version is True"),
        (broken(lambda d: d.update(more=1)), "entries"),
        (broken(lambda d: d.pop("fitted_on")), "entries"),
        (broken(lambda d: d.update(fitted_on=3)), "a string"),
        (broken(lambda d: d.update(fitted_on="")), "can be printed"),
        (broken(lambda d: d.update(fitted_on="two\nlines")), "can be printed"),
        (broken(lambda d: d["structures"].pop("enhancing")), "structures has the entries"),
        (broken(lambda d: d["structures"].update(enhancing=None)), "enhancing is None"),
        (broken(lambda d: d["structures"]["enhancing"].update(found=[])), "no knots"),
        (broken(lambda d: d["structures"]["enhancing"].update(found=[[1]])), "pairs"),
        (broken(lambda d: d["structures"]["enhancing"].update(found=[[True, 1]])), "pairs of numbers"),
        (broken(lambda d: d["structures"]["enhancing"].update(found=[[0.5, 10**400]])), "from 0 to 1"),
        (broken(lambda d: d["structures"]["enhancing"].update(found=[[0.5, 1], [0.6, 0]])), "never falls"),
    ],
)
def test_a_broken_calibration_is_refused_in_one_line(text, message):
    with pytest.raises(EngineError, match=message) as fault:
        Calibration.from_metadata({METADATA_KEY: text})
    assert len(str(fault.value)) < 600


def test_a_model_with_a_broken_calibration_is_refused_by_its_name(tmp_path):
    import onnx

    path = tiny_model(tmp_path / "tiny.onnx")
    proto = onnx.load(path)
    proto.metadata_props.add(key=METADATA_KEY, value="{}")
    onnx.save(proto, path)
    with pytest.raises(EngineError, match=r"tiny\.onnx: the model's calibration"):
        read_model(path)
