from __future__ import annotations

import itertools
import threading

import heads
import nibabel
import numpy as np
import onnx
import oracle
import pytest
from cases import OBLIQUE, save
from models import tiny_model, tiny_softmax

import brats_trt
from brats_trt import CaseError, CaseWarning, EngineError, Segmenter, Spec
from brats_trt.spec import MODALITIES

SIZE = (16, 16, 16)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def segmenter(model):
    return Segmenter(model, precision="fp32")


def expected_labels(volumes, *, tta=False, min_region=0.1, values=(0, 1, 2, 4), normalisation="authors"):
    crop, box = oracle.prepare([volumes[m] for m in MODALITIES], SIZE, normalisation)
    batch = np.concatenate([crop, crop[:, :, :, ::-1]]) if tta else crop
    labels = oracle.restore(tiny_softmax(batch), box, volumes["t1"].shape, values)
    return oracle.drop_small_regions(labels, min_region) if min_region else labels


def same_but_for_ties(labels, expected):
    return (labels != expected).mean() < 1e-4


@pytest.mark.parametrize("tta", [False, True])
@pytest.mark.parametrize("normalisation", ["authors", "card"])
def test_labels_equal_the_oracles(tmp_path, tta, normalisation):
    model = tiny_model(tmp_path / "m.onnx", spec=Spec(normalisation=normalisation))
    volumes = heads.volumes()
    result = Segmenter(model, tta=tta, precision="fp32").run(volumes)
    assert set(np.unique(result.labels)) == {0, 1, 2, 4}
    assert same_but_for_ties(result.labels, expected_labels(volumes, tta=tta, normalisation=normalisation))


@pytest.mark.parametrize(
    ("scheme", "values"), [("brats", (0, 1, 2, 4)), ("brats2023", (0, 1, 2, 3)), ("msd", (0, 2, 1, 3))]
)
def test_each_scheme_writes_its_values(model, scheme, values):
    volumes = heads.volumes()
    labels = Segmenter(model, labels=scheme, precision="fp32").run(volumes).labels
    assert same_but_for_ties(labels, expected_labels(volumes, values=values))


def test_modalities_go_where_the_models_spec_says(tmp_path, segmenter):
    order = ("flair", "t1ce", "t1", "t2")
    swapped = tiny_model(tmp_path / "m.onnx", spec=Spec(modalities=order))
    volumes = heads.volumes()
    relabelled = dict(zip(order, [volumes[m] for m in MODALITIES], strict=True))
    assert np.array_equal(Segmenter(swapped, precision="fp32").run(relabelled).labels, segmenter.run(volumes).labels), (
        "the network saw the same channels"
    )
    assert not np.array_equal(Segmenter(swapped, precision="fp32").run(volumes).labels, segmenter.run(volumes).labels)


def test_counts_volumes_box_and_probabilities_belong_to_the_labels(segmenter):
    result = segmenter.run(heads.volumes())
    counts = [int((result.labels == value).sum()) for value in (0, 1, 2, 4)]
    assert list(result.class_counts) == counts
    _, necrotic, oedema, enhancing = (count / 1000 for count in counts)
    assert result.volumes_ml == pytest.approx(
        {
            "whole_tumour": necrotic + oedema + enhancing,
            "tumour_core": necrotic + enhancing,
            "enhancing": enhancing,
            "necrotic": necrotic,
            "oedema": oedema,
        }
    )
    assert (result.box.lower, result.box.upper) == oracle.authors_box(list(heads.volumes().values()))
    assert result.probabilities.shape == (4, *SIZE)
    np.testing.assert_allclose(result.probabilities.sum(axis=0), 1, atol=1e-5)


def test_stages_take_the_time_of_the_run(segmenter):
    timings = segmenter.run(heads.volumes()).timings_ms
    assert list(timings) == ["load", "prepare", "infer", "restore", "regions", "total"]
    assert all(value >= 0 for value in timings.values())
    stages = sum(value for stage, value in timings.items() if stage != "total")
    assert stages <= timings["total"]


def test_mirror_averaging_changes_nothing_for_a_network_that_commutes_with_mirroring(model, segmenter):
    averaged = Segmenter(model, tta=True, precision="fp32").run(heads.volumes())
    assert same_but_for_ties(averaged.labels, segmenter.run(heads.volumes()).labels)


def test_probabilities_of_a_mirrored_pair_are_their_mean(model):
    result = Segmenter(model, tta=True, precision="fp32").run(heads.volumes())
    first, second = result.softmax
    np.testing.assert_allclose(result.probabilities, (first + second[:, :, ::-1]) / 2, atol=1e-6)


def test_the_input_is_never_written_to(segmenter):
    volumes = heads.volumes()
    for volume in volumes.values():
        volume.flags.writeable = False
    segmenter.run(volumes)


def test_later_runs_leave_earlier_results_alone(segmenter):
    first = segmenter.run(heads.volumes())
    labels, softmax = first.labels.copy(), first.softmax.copy()
    segmenter.run(heads.volumes(seed=1))
    assert np.array_equal(first.labels, labels)
    assert np.array_equal(first.softmax, softmax)


def test_threads_share_a_segmenter(segmenter):
    expected = [segmenter.run(heads.volumes(seed=seed)).labels for seed in range(4)]
    found = [None] * 4

    def work(seed):
        found[seed] = segmenter.run(heads.volumes(seed=seed)).labels

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))


def orientations():
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            yield order, signs


@pytest.mark.filterwarnings("ignore:case. the array axes run:brats_trt.CaseWarning")  # as most of the 48 do
@pytest.mark.parametrize(("order", "signs"), list(orientations()))
def test_every_orientation_comes_back_on_its_own_grid(tmp_path, segmenter, order, signs):
    head = {name: nibabel.Nifti1Image(v, OBLIQUE) for name, v in heads.volumes().items()}
    turn = np.stack([order, signs], axis=1)
    turned = {name: image.as_reoriented(turn) for name, image in head.items()}
    result = segmenter.run(turned)
    reference = turned["t1"]
    assert result.labels.shape == reference.shape
    np.testing.assert_allclose(result.affine, reference.affine, atol=1e-9)
    # The tumour lies at the same place in the scanner, whatever the order of storage.
    truth = nibabel.affines.apply_affine(
        reference.affine, np.argwhere(np.asarray(turned["flair"].dataobj) > 800).mean(axis=0)
    )
    found = nibabel.affines.apply_affine(result.affine, np.argwhere(result.labels > 0).mean(axis=0))
    assert np.linalg.norm(truth - found) < 1.0


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_a_saved_label_map_keeps_the_references_geometry(tmp_path, segmenter, kind):
    paths = {}
    for name, volume in heads.volumes().items():
        image = kind(volume, OBLIQUE)
        image.set_sform(OBLIQUE, code=4)
        image.set_qform(OBLIQUE, code=1, strip_shears=True)
        image.header.set_xyzt_units("mm", "sec")
        image.header["descrip"] = b"John Doe"
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"patient: John Doe"))
        paths[name] = tmp_path / f"{name}.nii.gz"
        nibabel.save(image, paths[name])
    result = segmenter.run(paths)
    result.save(tmp_path / "seg.nii.gz")

    saved, reference = nibabel.load(tmp_path / "seg.nii.gz"), nibabel.load(paths["t1"])
    assert isinstance(saved, kind)
    assert np.array_equal(np.asanyarray(saved.dataobj), result.labels)
    assert saved.get_data_dtype() == np.uint8
    assert np.array_equal(saved.affine, reference.affine)
    for field in ("sform_code", "qform_code", "xyzt_units", "quatern_b", "srow_x", "pixdim"):
        assert np.array_equal(saved.header[field], reference.header[field]), field
    assert saved.header.get_slope_inter() == (None, None) or saved.header.get_slope_inter() == (1, 0)
    content = saved.to_bytes()
    assert b"research use only" in bytes(saved.header["descrip"].item())
    assert result.model_sha256.encode() in content
    assert b"not a medical device" in content
    assert b"John Doe" not in content


def test_a_reference_scaled_and_four_dimensional_leaves_no_trace(tmp_path, segmenter):
    paths = {name: save(tmp_path / f"{name}.nii", v[..., None], slope=2.0) for name, v in heads.volumes().items()}
    segmenter.run(paths).save(tmp_path / "seg.nii")
    saved = nibabel.load(tmp_path / "seg.nii")
    assert saved.shape == heads.SHAPE
    assert set(np.unique(saved.get_fdata())) == {0, 1, 2, 4}


def test_a_result_has_its_volumes_only_where_they_are_asked_for(model, segmenter):
    volumes = heads.volumes()
    assert segmenter.run(volumes).case is None
    kept = Segmenter(model, precision="fp32", keep_volumes=True).run(volumes).case
    assert {name: volume.data is volumes[name] for name, volume in kept.volumes.items()} == dict.fromkeys(volumes, True)


def test_the_results_header_is_its_own(tmp_path, segmenter):
    images = {name: nibabel.Nifti1Image(v, OBLIQUE) for name, v in heads.volumes().items()}
    result = segmenter.run(images)
    result.header["descrip"] = b"changed"
    assert bytes(images["t1"].header["descrip"].item()) != b"changed"
    assert result != segmenter.run(images), "results compare by identity"


def test_arrays_are_saved_on_the_identity(tmp_path, segmenter):
    segmenter.run(heads.volumes()).save(tmp_path / "seg.nii")
    assert np.array_equal(nibabel.load(tmp_path / "seg.nii").affine, np.eye(4))


def test_saved_probabilities_lie_on_the_crop(tmp_path, segmenter):
    paths = {name: save(tmp_path / f"{name}.nii", v) for name, v in heads.volumes().items()}
    result = segmenter.run(paths)
    result.save_probabilities(tmp_path / "p.nii.gz")
    saved = nibabel.load(tmp_path / "p.nii.gz")
    assert saved.shape == (*SIZE, 4)
    np.testing.assert_allclose(np.asarray(saved.dataobj), np.moveaxis(result.probabilities, 0, -1))
    last_voxel = [n - 1 for n in result.box.upper]
    np.testing.assert_allclose(
        nibabel.affines.apply_affine(saved.affine, [n - 1 for n in SIZE]),
        nibabel.affines.apply_affine(result.affine, last_voxel),
        atol=1e-4,
    )
    assert b"not a medical device" in saved.to_bytes()


def test_an_output_that_exists_is_kept_unless_told(tmp_path, segmenter):
    result = segmenter.run(heads.volumes())
    path = tmp_path / "seg.nii.gz"
    path.write_bytes(b"precious")
    with pytest.raises(CaseError, match="exists already and is kept"):
        result.save(path)
    assert path.read_bytes() == b"precious"
    result.save(path, overwrite=True)
    assert nibabel.load(path).shape == heads.SHAPE


@pytest.mark.parametrize(("name", "message"), [("seg.img", "ends in .nii"), ("no/such/seg.nii", "cannot be written")])
def test_a_path_that_cannot_be_written_is_refused(tmp_path, segmenter, name, message):
    with pytest.raises(CaseError, match=message):
        segmenter.run(heads.volumes()).save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_nan_and_infinite_voxels_are_counted_treated_as_background_and_warned_of(segmenter):
    clean = {name: v.astype(np.float32) for name, v in heads.volumes().items()}
    dirty = {name: v.copy(order="K") for name, v in clean.items()}
    where = ([0, 0, 0], [1, 2, 3], [0, 0, 0])
    dirty["t2"][where] = np.nan, np.inf, -np.inf
    with pytest.warns(CaseWarning, match="t2 has 3 NaN or infinite voxels, treated as background"):
        result = segmenter.run(dirty)
    assert len(result.warnings) == 1
    assert np.array_equal(result.labels, segmenter.run(clean).labels)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros(heads.SHAPE, np.int16), "flair has no voxel above zero"),
        (np.full(heads.SHAPE, -3.0), "flair has no voxel above zero"),
        (np.full(heads.SHAPE, np.nan), r"all \d+ voxels of flair are NaN or infinite"),
        (np.full(heads.SHAPE, 7, np.uint8), r"flair is constant \(\d+ voxels of 7\)"),
        (np.where(np.indices(heads.SHAPE)[0] % 2, 1e300, 1.0), "too large for their variance"),
    ],
)
def test_a_modality_that_cannot_be_normalised_is_refused(segmenter, bad, message):
    with pytest.raises(CaseError, match=message):
        segmenter.run({**heads.volumes(), "flair": bad})


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_head_that_is_flat_on_an_axis_is_refused(segmenter, axis):
    index = [slice(None)] * 3
    index[axis] = slice(2, None)
    flat = {name: v.copy() for name, v in heads.volumes().items()}
    for volume in flat.values():
        volume[:] = np.random.default_rng(1).integers(1, 9, volume.shape)
        volume[tuple(index)] = 0
    with pytest.raises(CaseError, match=f"span 2 plane.* along axis {'xyz'[axis]}"):
        segmenter.run(flat)


def test_volumes_without_tumour_give_an_empty_map(tmp_path):
    quiet = tiny_model(tmp_path / "m.onnx", bias=[0, -99, -99, -99])
    result = Segmenter(quiet, precision="fp32").run(heads.volumes())
    assert not result.labels.any()
    assert result.volumes_ml["whole_tumour"] == 0.0


def test_a_network_that_gives_nan_is_refused(tmp_path):
    broken = tiny_model(tmp_path / "m.onnx", bias=[np.nan] * 4)
    with pytest.raises(EngineError, match="not finite"):
        Segmenter(broken, precision="fp32").run(heads.volumes())


def test_a_float16_model_runs(tmp_path, segmenter):
    half = Segmenter(tiny_model(tmp_path / "m.onnx", dtype="FLOAT16"), precision="fp32")
    assert (half.run(heads.volumes()).labels != segmenter.run(heads.volumes()).labels).mean() < 1e-3


def test_threads_do_not_change_the_labels(model, segmenter):
    single = Segmenter(model, threads=1, precision="fp32")
    assert np.array_equal(single.run(heads.volumes()).labels, segmenter.run(heads.volumes()).labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": "atlas"}, "labels 'atlas' is not known"),
        ({"min_region": 1.5}, "a share from 0 to 1"),
        ({"threads": 0}, "1 or more"),
        ({"device": "tpu"}, "device 'tpu' is not known"),
    ],
)
def test_an_option_out_of_range_is_refused(model, options, message):
    with pytest.raises(ValueError, match=message):
        Segmenter(model, **options)


def test_the_device_is_never_changed_quietly(model):
    with pytest.raises(EngineError, match="use device='cpu'"):
        Segmenter(model, device="cuda")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.onnx", None, "cannot be read"),
        ("text.onnx", b"not a model at all", "not an ONNX model"),
        ("empty.onnx", b"", "not an ONNX model"),
        ("engine.plan", b"", "expected an .onnx file"),
    ],
)
def test_an_engine_that_is_no_model_is_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(EngineError, match=message):
        Segmenter(tmp_path / name)


def test_a_model_with_weights_in_other_files_is_refused(tmp_path):
    model = onnx.load(tiny_model(tmp_path / "m.onnx"))
    options = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
    onnx.save(model, tmp_path / "external.onnx", **options)
    with pytest.raises(EngineError, match="keeps weights in other files"):
        Segmenter(tmp_path / "external.onnx")


def test_a_model_that_gives_another_shape_than_it_declares_is_refused(tmp_path):
    model = onnx.load(tiny_model(tmp_path / "m.onnx"))
    model.graph.node[1].output[0] = "one"
    model.graph.node.append(onnx.helper.make_node("Concat", ["one", "one"], ["softmax_lbl3"], axis=1))
    onnx.save(model, tmp_path / "liar.onnx")
    with pytest.raises(EngineError, match=r"gives \[1, 8, 16, 16, 16\]|does not compile"):
        Segmenter(tmp_path / "liar.onnx")


def test_a_network_that_fails_is_an_engine_error(model, monkeypatch):
    segmenter = Segmenter(model, precision="fp32")

    class Broken:
        def set_input_tensor(self, _): ...
        def set_output_tensor(self, _): ...
        def infer(self):
            raise RuntimeError("planted\nin two lines")

    monkeypatch.setitem(segmenter._backend._engine._requests, (), Broken())
    with pytest.raises(EngineError, match=r"OpenVINO failed in the network \(planted in two lines\)"):
        segmenter.run(heads.volumes())


@pytest.mark.parametrize("change", [{"classes": 3}, {"channels": 3}, {"dtype": "DOUBLE"}])
def test_a_model_of_other_tensors_is_refused(tmp_path, change):
    with pytest.raises(EngineError, match=r"expected one input|not float32"):
        Segmenter(tiny_model(tmp_path / "m.onnx", **change))


def test_a_model_without_a_spec_needs_one(tmp_path, segmenter):
    foreign = tiny_model(tmp_path / "m.onnx", spec=None)
    with pytest.raises(EngineError, match=r"no preprocessing spec.*spec=brats_trt\.Spec"):
        Segmenter(foreign)
    given = Segmenter(foreign, spec=Spec(), precision="fp32")
    assert np.array_equal(given.run(heads.volumes()).labels, segmenter.run(heads.volumes()).labels)


def test_every_error_is_a_brats_trt_error():
    assert issubclass(CaseError, brats_trt.BratsTrtError)
    assert issubclass(CaseError, ValueError)
    assert issubclass(EngineError, brats_trt.BratsTrtError)
    assert issubclass(EngineError, RuntimeError)
