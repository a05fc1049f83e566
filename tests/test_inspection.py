"""Each check has a case that triggers it and ones that do not."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import heads
import nibabel
import numpy as np
import pytest
from cases import OBLIQUE
from varied_phantoms import SHAPE, varied_phantom
from volumes import SHAPES, head, memory_orders

from brats_trt.case import Case, Volume, load_case
from brats_trt.demo import make_phantom
from brats_trt.demo.phantom import brats_affine
from brats_trt.device_array import DeviceArray
from brats_trt.inspection import CHECKS, Finding, inspect_case
from brats_trt.inspection.evidence import LEAST_AXIS, SAMPLES, gather_evidence
from brats_trt.inspection.swapped import looks_of
from brats_trt.spec import MODALITIES

AFFINE = brats_affine(SHAPE)
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SAMPLE_CASE = Path(__file__).parent / "data" / "sample_case" / "Phantom_500"


@pytest.fixture(scope="module")
def phantom():
    return dict(make_phantom(0, SHAPE).volumes)


def as_case(volumes, affine=AFFINE):
    return load_case({name: nibabel.Nifti1Image(values, affine) for name, values in volumes.items()})


def found(volumes, affine=AFFINE):
    return {finding.code: finding.message for finding in inspect_case(as_case(volumes, affine))}


def changed(volumes, change, *names):
    return {name: change(values) if name in names or not names else values for name, values in volumes.items()}


def with_codes(affine, *, qform, sform):
    """A header with these codes, and the sform turned as it was given."""
    image = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.int16), LPS)
    image.set_qform(LPS, code=qform)
    image.set_sform(affine, code=sform)
    return Case("case", heads_on_grid(), LPS, image.header)


def heads_on_grid():
    return {name: Volume(values, 1.0, 0.0, name) for name, values in heads.volumes().items()}


def codes_of(case):
    return [finding.code for finding in inspect_case(case)]


# What must not trigger anything


@pytest.mark.parametrize("seed", range(3))
def test_a_demo_phantom_has_no_finding(seed):
    assert found(make_phantom(seed, SHAPE).volumes) == {}


@pytest.mark.parametrize("seed", range(4))
def test_a_phantom_of_another_scanner_has_no_finding(seed):
    assert found(varied_phantom(seed)) == {}


def test_a_phantom_of_full_size_has_no_finding():
    whole = make_phantom(1)
    assert found(whole.volumes, whole.affine) == {}


def test_the_sample_case_has_no_finding():
    assert inspect_case(load_case(SAMPLE_CASE)) == ()


def test_a_case_of_arrays_has_no_finding(phantom):
    assert inspect_case(load_case(phantom)) == ()


@pytest.mark.parametrize("affine", [None, LPS, OBLIQUE], ids=["arrays", "lps", "oblique"])
def test_the_small_heads_of_other_tests_are_too_little_evidence(affine):
    volumes = [heads.volumes(), *({name: head(shape) for name in MODALITIES} for shape in SHAPES)]
    for each in volumes:
        case = load_case(each) if affine is None else as_case(each, affine)
        assert inspect_case(case) == ()


# What must trigger one


@pytest.mark.parametrize("order", [order for order in permutations(MODALITIES) if order != MODALITIES], ids="-".join)
def test_every_wrong_order_of_a_phantom_is_noticed_and_named(phantom, order):
    volumes = {name: phantom[other] for name, other in zip(MODALITIES, order, strict=True)}
    findings = found(volumes)
    assert list(findings) == ["modalities-swapped"]
    for given, other in zip(MODALITIES, order, strict=True):
        assert (f"the volume given as {given} looks like {other}" in findings["modalities-swapped"]) == (given != other)


def test_without_enhancement_t1_and_t1ce_are_not_told_apart(phantom):
    plain = changed(phantom, lambda v: np.minimum(v, np.percentile(v[v > 0], 95)), "t1ce")
    swapped = {**plain, "t1": plain["t1ce"], "t1ce": plain["t1"]}
    assert "modalities-swapped" not in found(plain)
    assert "modalities-swapped" not in found(swapped)
    assert looks_of(gather_evidence(as_case(swapped)).contrast) == {"t2": "t2", "flair": "flair"}


def test_looks_do_not_depend_on_unit_curve_or_a_smooth_bias(phantom):
    x, y, _ = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    bent = {
        "t1": 1e-3 * phantom["t1"] ** 0.5,
        "t2": phantom["t2"] * np.exp(0.3 * x),
        "t1ce": phantom["t1ce"].astype(np.float64) ** 1.5,
        "flair": phantom["flair"] * np.exp(-0.3 * y),
    }
    assert found(bent) == {}
    assert set(found({**bent, "t2": bent["flair"], "flair": bent["t2"]})) == {"modalities-swapped"}


def test_modalities_without_contrast_look_like_nothing(phantom):
    random = np.random.default_rng(0)
    noise = {name: np.where(v > 0, random.integers(1, 1000, SHAPE, np.int16), 0) for name, v in phantom.items()}
    assert looks_of(gather_evidence(as_case(noise)).contrast) == {}


def test_a_modality_given_twice_is_noticed(phantom):
    finding = found({**phantom, "t1ce": phantom["t1"]})["modality-copied"]
    assert "t1 and t1ce are the same in all" in finding


def test_a_copy_in_another_unit_with_noise_is_noticed(phantom):
    noise = 1 + 0.01 * np.random.default_rng(0).standard_normal(SHAPE)
    findings = found({**phantom, "flair": 0.01 * phantom["t2"] * noise})
    assert list(findings) == ["modality-copied"]
    assert "t2 and flair have rank correlation 0.99" in findings["modality-copied"]


def test_a_background_above_zero_is_noticed(phantom):
    random = np.random.default_rng(0)
    findings = found(changed(phantom, lambda v: np.maximum(v, random.integers(1, 20, SHAPE, np.int16)), "flair"))
    assert list(findings) == ["skull-not-stripped"]
    assert "flair is above zero in 100% of the box" in findings["skull-not-stripped"]


def test_a_scalp_in_a_background_of_zeros_is_noticed(phantom):
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    distance = (x / 0.8) ** 2 + (y / 0.95) ** 2 + z**2
    findings = found(changed(phantom, lambda v: np.where((v == 0) & (distance > 0.8) & (distance < 1), 300, v)))
    assert "l of t1 are above zero (a brain: 1 to 2 l)" in findings["skull-not-stripped"]
    assert "modalities-swapped" not in findings


def test_half_a_head_is_noticed(phantom):
    planes = np.flatnonzero(phantom["t1"].any(axis=(0, 1)))
    findings = found(changed(phantom, lambda v: v[:, :, (planes[0] + planes[-1]) // 2 :]))
    assert list(findings) == ["head-cut-off"]
    assert "the first plane along axis z" in findings["head-cut-off"]


def test_a_head_cut_at_the_far_side_is_noticed(phantom):
    columns = np.flatnonzero(phantom["t1"].any(axis=(1, 2)))
    findings = found(changed(phantom, lambda v: v[: (columns[0] + columns[-1]) // 2]))
    assert "the last plane along axis x" in findings["head-cut-off"]


def test_a_crop_to_the_brain_is_not_cut_off(phantom):
    where = np.argwhere(phantom["t1"] > 0)
    lower, upper = where.min(axis=0), where.max(axis=0) + 1
    assert found(changed(phantom, lambda v: v[tuple(map(slice, lower, upper))])) == {}


def test_a_head_in_wrong_units_is_too_small(phantom):
    findings = found(phantom, AFFINE @ np.diag([0.5, 0.5, 0.5, 1]))
    assert list(findings) == ["head-too-small"]
    assert "only 0.1" in findings["head-too-small"]


@pytest.mark.parametrize("axes", [(0, 1), (1, 2)])
def test_a_head_stored_on_its_side_is_noticed_whatever_its_affine_says(phantom, axes):
    grid = (100, 100, 100)
    cube = changed(phantom, lambda v: np.pad(v, [(0, 0), (0, 0), (21, 21)])[10:110, 10:110, 10:110])
    assert cube["t1"].shape == grid
    assert found(cube) == {}
    assert list(found(changed(cube, lambda v: np.rot90(v, axes=axes)))) == ["head-tilted"]


@pytest.mark.parametrize(("percentile", "codes"), [(99, ["saturated"]), (99.9, [])])
def test_clipped_intensities_are_noticed(phantom, percentile, codes):
    clipped = changed(phantom, lambda v: np.minimum(v, np.percentile(v[v > 0], percentile)), "t2")
    assert list(found(clipped)) == codes
    assert all("of t2 at" in message for message in found(clipped).values())


@pytest.mark.parametrize(("levels", "codes"), [(30, ["few-values"]), (200, [])])
def test_few_distinct_values_are_noticed(phantom, levels, codes):
    rounded = changed(phantom, lambda v: np.ceil(v * (levels / v.max())).astype(np.uint8), "t1")
    findings = found(rounded)
    assert list(findings) == codes
    assert all("distinct values: t1 " in message for message in findings.values())


# What the headers say


@pytest.mark.parametrize(
    ("edges", "codes"),
    [((1, 1, 1), []), ((0.5, 0.5, 2), []), ((1, 1, 5), ["voxel-size"]), ((0.2, 1, 1), ["voxel-size"])],
)
def test_voxels_far_from_a_millimetre_are_noticed(edges, codes):
    assert list(found(heads.volumes(), np.diag([-edges[0], -edges[1], edges[2], 1.0]))) == codes


@pytest.mark.parametrize(
    ("axes", "codes"),
    [
        ("LPS", []),
        ("RAS", []),
        ("RPS", []),
        ("LPI", ["axes-turned"]),
        ("PLS", ["axes-turned"]),
        ("PSR", ["axes-turned"]),
    ],
)
def test_array_axes_other_than_the_networks_are_noticed(axes, codes):
    affine = nibabel.orientations.inv_ornt_aff(nibabel.orientations.axcodes2ornt(tuple(axes)), heads.SHAPE)
    findings = found(heads.volumes(), np.linalg.inv(affine))
    assert list(findings) == codes
    assert all(axes in message for message in findings.values())


@pytest.mark.parametrize(("degrees", "codes"), [(25, []), (45, ["axes-turned"])])
def test_an_oblique_grid_is_noticed_where_it_is_far_from_straight(degrees, codes):
    turn = np.eye(4)
    turn[:3, :3] = nibabel.eulerangles.euler2mat(x=np.radians(degrees))
    assert list(found(heads.volumes(), turn @ LPS)) == codes


@pytest.mark.parametrize(
    ("sform", "qcode", "scode", "message"),
    [
        (LPS, 1, 1, None),
        (np.diag([1.0, -1.0, 1.0, 1.0]), 1, 1, r"qform \(LPS\) and sform \(RPS\).* 180 degrees.* mirrored"),
        (np.diag([1.0, 1.0, 1.0, 1.0]), 1, 4, r"qform \(LPS\) and sform \(RAS\).* 180 degrees apart, so"),
        (np.diag([1.0, -1.0, 1.0, 1.0]), 0, 1, None),
        (np.diag([1.0, -1.0, 1.0, 1.0]), 1, 0, None),
        (LPS, 0, 0, "neither qform nor sform is set"),
    ],
)
def test_a_qform_and_an_sform_that_disagree_are_noticed(sform, qcode, scode, message):
    findings = inspect_case(with_codes(sform, qform=qcode, sform=scode))
    assert [finding.code for finding in findings] == ([] if message is None else ["left-right-ambiguous"])
    for finding in findings:
        with pytest.raises(ValueError, match=message):
            raise ValueError(finding.message)


def test_a_sform_of_a_small_alignment_agrees_with_its_qform():
    turn = np.eye(4)
    turn[:3, :3] = nibabel.eulerangles.euler2mat(z=np.radians(20), x=np.radians(10))
    assert codes_of(with_codes(turn @ LPS, qform=1, sform=4)) == []


def test_a_qform_that_is_no_rotation_is_noticed():
    case = with_codes(LPS, qform=1, sform=1)
    case.header["quatern_b"] = 2.0
    assert codes_of(case) == ["left-right-ambiguous"]


# What the evidence is


def test_storage_does_not_change_the_findings(phantom):
    swapped = {**phantom, "t2": phantom["flair"], "flair": phantom["t2"]}
    expected = inspect_case(load_case(swapped))
    assert [finding.code for finding in expected] == ["modalities-swapped"]
    for name, stored in memory_orders(swapped["t2"]):
        assert inspect_case(load_case({**swapped, "t2": stored})) == expected, name


@pytest.mark.parametrize("dtype", ["uint16", "int32", "uint64", "float16", "float32", "longdouble", ">f8"])
def test_a_dtype_does_not_change_the_findings(phantom, dtype):
    swapped = {name: v.astype(dtype) for name, v in {**phantom, "t1": phantom["t2"], "t2": phantom["t1"]}.items()}
    assert [finding.code for finding in inspect_case(load_case(swapped))] == ["modalities-swapped"]


def test_slope_and_intercept_are_applied(phantom):
    volumes = {name: Volume(values, 1.0, 0.0, name) for name, values in phantom.items()}
    case = Case("case", {**volumes, "t1": Volume(phantom["t1"] + np.int16(9), 2.0, -18.0, "t1")}, AFFINE, None)
    assert inspect_case(case) == ()
    raised = Case("case", {**volumes, "t1": Volume(phantom["t1"], 2.0, 18.0, "t1")}, AFFINE, None)
    assert codes_of(raised) == ["skull-not-stripped"]


def test_nan_infinite_and_negative_voxels_are_no_head(phantom):
    dirty = changed(phantom, lambda v: v.astype(np.float32))
    outside = phantom["t1"] == 0
    for value, name in zip((np.nan, np.inf, -np.inf, -5.0), MODALITIES, strict=True):
        dirty[name] = np.where(outside, np.float32(value), dirty[name])
    assert found(dirty) == {}


@pytest.mark.parametrize("fill", [0, 1, np.nan, np.inf, -1, 1e300])
def test_volumes_that_are_no_head_are_no_reason_to_fail(fill):
    volume = np.full((70, 66, 64), fill, np.float64)
    assert all(isinstance(each, Finding) for each in inspect_case(load_case(dict.fromkeys(MODALITIES, volume))))


def test_volumes_on_a_gpu_are_judged_by_their_headers_alone():
    array = DeviceArray(0, (240, 240, 155), (2, 480, 115200), np.dtype(np.int16), None, None)
    affine = np.diag([-1.0, 1.0, -3.0, 1.0])
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.int16), affine)
    case = Case("case", {name: Volume(array, 1.0, 0.0, name) for name in MODALITIES}, affine, image.header)
    assert codes_of(case) == ["axes-turned", "voxel-size"]


@pytest.mark.parametrize("n", [64, 95, 96, 155, 240, 512, 1024])
def test_the_sample_of_any_volume_is_about_as_large(n):
    volume = np.broadcast_to(np.int16(3), (n, n, LEAST_AXIS))
    sample = gather_evidence(load_case(dict.fromkeys(MODALITIES, volume))).sample
    assert all(SAMPLES <= size <= 2 * SAMPLES for size in sample.head.shape)


def test_findings_come_in_one_order_and_in_one_line_each(phantom):
    swapped = {**phantom, "t2": phantom["flair"], "flair": np.minimum(phantom["t2"], 1500)}
    findings = inspect_case(as_case(swapped, AFFINE @ np.diag([1, 1, 0.2, 1])))
    assert [finding.code for finding in findings] == ["voxel-size", "head-too-small", "modalities-swapped", "saturated"]
    for finding in findings:
        assert "\n" not in finding.message
        assert any(letter.isdigit() for letter in finding.message)


def test_every_check_is_documented():
    document = (Path(__file__).parents[1] / "docs" / "warnings.md").read_text()
    modules = [check.__module__ for check in CHECKS]
    assert len(set(modules)) == len(CHECKS)
    for module in modules:
        code = __import__(module, fromlist=["CODE"]).CODE
        assert f"| `{code}` |" in document
