from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

import nibabel
import numpy as np
import pytest
from cases import OBLIQUE, SUFFIXES, SUFFIXES_2023, save, volume, with_header_fields, write_case

from brats_trt import CaseError
from brats_trt.case import case_name, load_case
from brats_trt.spec import MODALITIES

ARRAYS = {name: volume(seed) for seed, name in enumerate(SUFFIXES)}


def assert_holds(case, *, affine=OBLIQUE, arrays=ARRAYS):
    assert list(case.volumes) == list(MODALITIES)
    for name, expected in arrays.items():
        assert np.array_equal(case.volumes[name].data, expected), name
    np.testing.assert_allclose(case.affine, affine, atol=1e-5)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize(("suffixes", "separator"), [(SUFFIXES, "_"), (SUFFIXES_2023, "-")])
def test_a_case_folder_of_any_year_is_read(tmp_path, suffixes, separator, ending):
    folder = write_case(tmp_path / "BraTS_7", suffixes=suffixes, separator=separator, ending=ending)
    case = load_case(folder)
    assert_holds(case)
    assert case.name == "BraTS_7"
    assert case.header is not None


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    folder = write_case(tmp_path / "a")
    for name in ("a_seg.nii.gz", "._a_t1.nii.gz", ".a_t1.nii.gz", "notes.txt", "t1.nii.gz", "a_t1.nii.gz.md5"):
        (folder / name).write_bytes(b"not an image")
    assert_holds(load_case(folder))


def test_names_are_matched_whatever_their_case(tmp_path):
    folder = write_case(tmp_path / "a")
    (folder / "a_t1ce.nii.gz").rename(folder / "A_T1CE.NII.GZ")
    assert_holds(load_case(folder))


@pytest.mark.parametrize("convert", [str, lambda path: path, nibabel.load], ids=["str", "Path", "image"])
def test_a_mapping_of_paths_or_images_is_read_by_name(tmp_path, convert):
    folder = write_case(tmp_path / "a")
    named = {name: convert(folder / f"a_{name}.nii.gz") for name in reversed(SUFFIXES)}
    assert_holds(load_case(named))


def test_a_mapping_of_arrays_is_taken_as_it_is_on_the_identity():
    case = load_case({"T1N": ARRAYS["t1"], "t2w": ARRAYS["t2"], "t1c": ARRAYS["t1ce"], "T2F": ARRAYS["flair"]})
    assert_holds(case, affine=np.eye(4))
    assert case.volumes["t1"].data is ARRAYS["t1"], "nothing is copied"
    assert case.header is None


def test_arrays_among_images_take_the_images_grid(tmp_path):
    mixed = dict(ARRAYS)
    mixed["flair"] = save(tmp_path / "x.nii", ARRAYS["flair"])
    assert_holds(load_case(mixed))


def test_an_images_scale_is_kept_apart_from_its_voxels(tmp_path):
    path = save(tmp_path / "x.nii.gz", volume(), slope=0.25, intercept=3.0)
    for source in (path, nibabel.load(path)):
        found = load_case({**ARRAYS, "t1": source}).volumes["t1"]
        assert (found.slope, found.intercept) == (0.25, 3.0)
        assert np.array_equal(found.data, volume())


@pytest.mark.parametrize(("threads", "readers"), [(None, 4), (1, 1), (2, 2), (64, 4)])
def test_files_are_read_on_at_most_four_threads(tmp_path, monkeypatch, threads, readers):
    folder = write_case(tmp_path / "a")
    started = []

    class Recorded(ThreadPoolExecutor):
        def __init__(self, workers):
            started.append(workers)
            super().__init__(workers)

    monkeypatch.setattr("brats_trt.case.ThreadPoolExecutor", Recorded)
    assert_holds(load_case(folder, threads=threads))
    assert started == [readers]


def test_an_image_in_memory_is_taken_with_its_voxels_as_they_are():
    image = nibabel.Nifti1Image(volume().astype(np.float32) * 0.3, OBLIQUE)
    found = load_case(dict.fromkeys(SUFFIXES, image)).volumes["t1"]
    assert (found.slope, found.intercept) == (1.0, 0.0)
    np.testing.assert_allclose(found.data, image.get_fdata())


@pytest.mark.parametrize("order", [MODALITIES, ("t1", "t2", "flair", "t1ce")])
def test_a_4d_array_or_image_is_in_the_specs_order(order):
    stacked = np.stack([ARRAYS[name] for name in order], axis=3)
    for source, affine in ((stacked, np.eye(4)), (nibabel.Nifti1Image(stacked, OBLIQUE), OBLIQUE)):
        case = load_case(source, order)
        assert list(case.volumes) == list(order)
        for name in order:
            assert np.array_equal(case.volumes[name].data, ARRAYS[name])
        np.testing.assert_allclose(case.affine, affine)


def test_a_decathlon_file_is_in_the_decathlons_order(tmp_path):
    stacked = np.stack([ARRAYS[name] for name in ("flair", "t1", "t1ce", "t2")], axis=3)
    path = save(tmp_path / "BRATS_001.nii.gz", stacked)
    case = load_case(path, ("t2", "flair", "t1", "t1ce"))
    assert case.name == "BRATS_001"
    for name, expected in ARRAYS.items():
        assert np.array_equal(case.volumes[name].data, expected)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("a/P1_t1.nii.gz", "b/P1_flair.nii.gz"), "P1"),
        (("B-1-t1n.nii", "B-1-t2w.nii", "B-1-t1c.nii", "B-1-t2f.nii"), "B-1"),
        (("x.nii", "y.nii"), "case"),
        ((), "case"),
        (("d/P2",), "P2"),
    ],
)
def test_a_case_is_named_after_what_its_files_share(names, expected):
    from pathlib import Path

    assert case_name(*map(Path, names)) == expected


@pytest.mark.parametrize("missing", SUFFIXES)
def test_a_missing_modality_is_named(tmp_path, missing):
    folder = write_case(tmp_path / "a")
    (folder / f"a_{missing}.nii.gz").unlink()
    with pytest.raises(CaseError, match=rf"a: no file for {missing}; expected <id>_t1.nii.gz"):
        load_case(folder)
    with pytest.raises(CaseError, match=rf"no volume for {missing};"):
        load_case({name: array for name, array in ARRAYS.items() if name != missing})


@pytest.mark.parametrize("second", ["a_t1.nii", "b_t1.nii.gz", "a-t1n.nii.gz"])
def test_a_doubled_modality_names_both_files(tmp_path, second):
    folder = write_case(tmp_path / "a")
    shutil.copy(folder / "a_t1.nii.gz", folder / second)
    with pytest.raises(CaseError, match=r"both .* and .* are t1; keep one"):
        load_case(folder)


def test_a_modality_under_two_names_and_an_unknown_one_are_refused():
    with pytest.raises(CaseError, match="t1 is given twice"):
        load_case({**ARRAYS, "t1n": ARRAYS["t1"]})
    with pytest.raises(CaseError, match="'dwi' is not a modality"):
        load_case({**ARRAYS, "dwi": ARRAYS["t1"]})


def test_an_empty_and_a_missing_folder_are_refused(tmp_path):
    with pytest.raises(CaseError, match="no file for t1, t2, t1ce, flair"):
        load_case(tmp_path)
    for nowhere in (tmp_path / "nowhere", tmp_path / "a.nii" / "b"):
        with pytest.raises(CaseError, match="no such file or folder"):
            load_case(nowhere)
    for name in ("a\0", "a" * 5000):
        with pytest.raises(CaseError, match="cannot be read"):
            load_case(name)


def test_grids_of_other_shapes_are_refused(tmp_path):
    folder = write_case(tmp_path / "a")
    save(folder / "a_flair.nii.gz", volume(shape=(12, 14, 11)))
    with pytest.raises(CaseError, match=r"flair has shape \(12, 14, 11\), but .* has \(12, 14, 10\)"):
        load_case(folder)


@pytest.mark.parametrize("shift", [0.01, 2.0])
def test_grids_that_lie_elsewhere_are_refused_with_the_distance(tmp_path, shift):
    folder = write_case(tmp_path / "a")
    moved = OBLIQUE.copy()
    moved[1, 3] += shift
    save(folder / "a_t2.nii.gz", volume(1), moved)
    with pytest.raises(CaseError, match=rf"affine of t2 puts voxels {shift:.4g}.* mm .*tolerance 0.001 mm"):
        load_case(folder)


def test_grids_that_differ_by_rounding_are_one(tmp_path):
    folder = write_case(tmp_path / "a")
    save(folder / "a_t2.nii.gz", volume(1), OBLIQUE + 1e-7)
    assert_holds(load_case(folder))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((4, 4), np.int16), "expected a volume"),
        (np.zeros((4, 4, 1), np.int16), "expected a volume"),
        (np.zeros((12, 14, 10), complex), "complex"),
        (np.zeros((12, 14, 10), object), "object"),
        (np.zeros((4, 4, 1025), np.uint8), "at most 1024"),
        (np.lib.stride_tricks.as_strided(np.zeros(1), (1024, 1024, 512), (0, 0, 0)), "at most 2 GiB"),
        ("no number", "expected .nii"),
        (object(), "object|is no array"),
    ],
)
def test_an_array_that_is_no_volume_is_refused(bad, message):
    with pytest.raises(CaseError, match=message):
        load_case({**ARRAYS, "t2": bad})


def test_an_array_that_will_not_be_one_is_refused_with_its_reason():
    class Recorded:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("gradients are\nrecorded")

    with pytest.raises(CaseError, match=r"array of t2 is no array \(gradients are recorded\)"):
        load_case({**ARRAYS, "t2": Recorded()})


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_an_image_whose_file_was_damaged_or_removed_is_refused(tmp_path, ending):
    path = save(tmp_path / f"x{ending}", volume())
    image = nibabel.load(path)
    path.write_bytes(path.read_bytes()[:-100])
    for damage in (lambda: None, path.unlink):
        damage()
        with pytest.raises(CaseError, match=f"x{ending}: the image cannot be read") as fault:
            load_case({**ARRAYS, "t2": image})
        assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((1025, 1024, 1024), "at most 1024"), ((1024, 1024, 1024), "at most 2 GiB"), ((1024, 512, 512, 999), "a volume")],
)
def test_an_image_too_large_is_refused_before_its_file_is_read(tmp_path, shape, message):
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.float64)
    header.set_data_shape(shape)
    (tmp_path / "x.nii").write_bytes(with_header_fields(bytes(header.binaryblock), magic=b"n+1", vox_offset=352))
    with pytest.raises(CaseError, match=message):
        load_case({**ARRAYS, "t2": nibabel.load(tmp_path / "x.nii")})


@pytest.mark.parametrize("shape", [(12, 14, 10), (12, 14, 10, 3), (12, 14, 10, 1, 4)])
def test_an_image_with_other_than_four_volumes_is_refused(shape):
    with pytest.raises(CaseError, match=r"expected \(X, Y, Z, 4\)"):
        load_case(nibabel.Nifti1Image(np.ones(shape, np.int16), OBLIQUE))


def test_an_image_is_taken_without_its_trailing_axes_of_one():
    image = nibabel.Nifti1Image(ARRAYS["t1"][..., None, None], OBLIQUE)
    assert_holds(load_case({**ARRAYS, "t1": image}))


def test_an_image_of_another_format_lends_its_grid_but_no_header(tmp_path):
    nibabel.save(nibabel.MGHImage(ARRAYS["t1"], OBLIQUE), tmp_path / "x.mgz")
    case = load_case({**ARRAYS, "t1": nibabel.load(tmp_path / "x.mgz")})
    assert_holds(case)
    assert case.header is None


@pytest.mark.parametrize("shape", [(12, 14, 10), (12, 14, 10, 3), (12, 14, 10, 5), (2, 12, 14, 10, 4)])
def test_an_array_with_other_than_four_volumes_is_refused(shape):
    with pytest.raises(CaseError, match=r"expected \(X, Y, Z, 4\)"):
        load_case(np.zeros(shape, np.int16))


@pytest.mark.parametrize(("volumes", "message"), [(3, r"a case \(X, Y, Z, 4\)"), (0, "expected a case folder")])
def test_a_file_with_other_than_four_volumes_is_refused(tmp_path, volumes, message):
    data = np.stack([volume()] * volumes, axis=3) if volumes else volume()
    with pytest.raises(CaseError, match=message):
        load_case(save(tmp_path / "x.nii.gz", data))


@pytest.mark.parametrize("volumes", [2, 4])
def test_a_4d_file_as_one_modality_is_refused(tmp_path, volumes):
    folder = write_case(tmp_path / "a")
    save(folder / "a_t1.nii.gz", np.stack([volume()] * volumes, axis=3))
    with pytest.raises(CaseError, match="expected a volume"):
        load_case(folder)


def test_files_of_two_cases_in_one_folder_are_refused(tmp_path):
    folder = write_case(tmp_path / "a")
    (folder / "a_t2.nii.gz").rename(folder / "b_t2.nii.gz")
    with pytest.raises(CaseError, match=r"files are of 2 cases \(.*a_.*b_t2.*\); keep one case a folder"):
        load_case(folder)


@pytest.mark.parametrize("unit", ["meter", "micron"])
def test_a_header_in_other_units_than_millimetres_is_refused(tmp_path, unit):
    folder = write_case(tmp_path / "a")
    image = nibabel.load(folder / "a_t2.nii.gz")
    image.header.set_xyzt_units(unit)
    nibabel.save(nibabel.Nifti1Image(volume(1), OBLIQUE, image.header), folder / "a_t2.nii.gz")
    with pytest.raises(CaseError, match=f"unit of length is the {unit}; expected millimetres"):
        load_case(folder)


def test_a_masked_array_is_refused_since_its_mask_would_be_lost():
    masked = np.ma.masked_array(ARRAYS["t2"], mask=ARRAYS["t2"] > 50)
    with pytest.raises(CaseError, match="masked array"):
        load_case({**ARRAYS, "t2": masked})


@pytest.mark.parametrize("source", [None, 5, b"folder"])
def test_what_is_no_source_at_all_is_told_so(source):
    with pytest.raises(CaseError, match="expected a path, a nibabel image or an array"):
        load_case(source)
    with pytest.raises(CaseError, match="expected a path, a nibabel image or an array"):
        load_case({**ARRAYS, "t2": source})
