"""The CUDA backend on an emulated device: every stage against the host's, and the whole against the CPU backend."""

from __future__ import annotations

import heads
import numpy as np
import oracle
import pytest
from emulated_device import EmulatedDevice, TinyEngine
from models import tiny_model
from tolerances import GATHER_ON_DEVICE, HALF_GATHER_ON_DEVICE, HALF_SCORES, MOMENTS, SCORES_ON_DEVICE

from brats_trt import CaseError, EngineError, Segmenter, Spec, _host
from brats_trt.backends import StageOptions
from brats_trt.backends.cuda import CudaBackend
from brats_trt.case import Volume
from brats_trt.spec import MODALITIES

OPTIONS = StageOptions(tta=False, min_region=0.1, label_values=(0, 1, 2, 4))
SHAPE = (48, 48, 48)


def as_volumes(arrays, *, slope=1.0, intercept=0.0):
    return [(name, Volume(arrays[name], slope, intercept, f"the array of {name}")) for name in MODALITIES]


def run(device, arrays, *, options=OPTIONS, half=False, **scale):
    backend = CudaBackend(device, TinyEngine(device, half=half), options, largest_shape=SHAPE)
    return backend, backend.run(as_volumes(arrays, **scale))


def stored(dtype, order="F"):
    """The tumour's head in another dtype and order."""
    arrays = heads.volumes()
    scale = {"int8": 0.1, "uint8": 0.2, "float16": 0.37}.get(dtype, 1.0)
    return {name: np.asarray((v * scale).astype(dtype), order=order) for name, v in arrays.items()}


ORDERS = {
    "F": lambda v: np.asfortranarray(v),
    "C": lambda v: np.ascontiguousarray(v),
    "yxz": lambda v: np.ascontiguousarray(v.transpose(2, 0, 1)).transpose(1, 2, 0),
    "view": lambda v: np.repeat(v, 2, axis=1)[:, ::2],
    "big-endian": lambda v: v.astype(v.dtype.newbyteorder(">")),
}


def assert_stages_equal_the_hosts(backend, arrays, **scale):
    plan = backend._memory.working.found
    found = {name: _host.foreground(arrays[name], **scale) for name in MODALITIES}
    for record, name in zip(plan["modality"], MODALITIES, strict=True):
        expected = found[name]
        assert (tuple(record["lower"]), tuple(record["upper"])) == expected.box
        assert record["count"] == expected.count
        assert record["nonfinite"] == expected.nonfinite
        assert record["mean"] == pytest.approx(expected.mean, rel=MOMENTS)
        assert record["squares"] / record["count"] == pytest.approx(expected.variance, rel=MOMENTS)
    box = (tuple(plan["lower"]), tuple(plan["lower"] + plan["extent"]))
    batch = backend._memory.batch
    dtype = np.float16 if backend._engine.half else np.float32
    size = backend._memory.size
    crop = backend._device.read(backend._memory.input, dtype, (batch, 4, *size)).astype(np.float32)
    for channel, name in enumerate(MODALITIES):
        expected = np.zeros((batch, 4, *size), np.float32)
        moments = {"mean": found[name].mean, "variance": found[name].variance}
        _host.gather(arrays[name], box, expected, channel, **moments, **scale)
        tolerance = HALF_GATHER_ON_DEVICE if backend._engine.half else GATHER_ON_DEVICE
        np.testing.assert_allclose(crop[:, channel], expected[:, channel], rtol=0, atol=tolerance)


def assert_labels_equal_the_hosts(backend, outcome, arrays, options=OPTIONS):
    """But for voxels where the two greatest probabilities lie within float32's rounding."""
    softmax = outcome.softmax
    labels = np.empty(arrays["t1"].shape, np.uint8)
    box = (outcome.box.lower, outcome.box.upper)
    _host.scatter(softmax, box, labels, values=options.label_values)
    if options.min_region:
        labels = oracle.drop_small_regions(labels, options.min_region)
    assert (outcome.labels != labels).mean() < 1e-4
    counts = tuple(int((outcome.labels == value).sum()) for value in options.label_values)
    assert outcome.counts == counts


@pytest.mark.parametrize("order", ORDERS)
def test_every_stage_equals_the_hosts_in_every_memory_order(device, order):
    arrays = {name: ORDERS[order](v) for name, v in heads.volumes().items()}
    backend, outcome = run(device, arrays)
    assert_stages_equal_the_hosts(backend, arrays)
    assert_labels_equal_the_hosts(backend, outcome, arrays)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float16", "float32", "float64", "int64"])
def test_every_stage_equals_the_hosts_for_every_dtype(device, dtype):
    arrays = stored(dtype)
    backend, outcome = run(device, arrays)
    assert_stages_equal_the_hosts(backend, arrays)
    assert_labels_equal_the_hosts(backend, outcome, arrays)


def test_slope_and_intercept_apply(device):
    arrays = heads.volumes()
    backend, outcome = run(device, arrays, slope=0.25, intercept=-3.0)
    assert_stages_equal_the_hosts(backend, arrays, slope=0.25, intercept=-3.0)
    assert_labels_equal_the_hosts(backend, outcome, arrays)


def test_nan_and_infinities_are_background_and_counted(device):
    arrays = {name: v.astype(np.float32) for name, v in heads.volumes().items()}
    arrays["t2"][0, 1, 0], arrays["t2"][20, 20, 20] = np.nan, np.inf
    backend, outcome = run(device, arrays)
    assert_stages_equal_the_hosts(backend, arrays)
    assert "t2 has 2 NaN or infinite voxels" in outcome.warnings[0]


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("tta", [False, True])
def test_the_whole_equals_the_cpu_backend(device, tmp_path, tta, half):
    options = StageOptions(tta=tta, min_region=0.1, label_values=(0, 2, 1, 3))
    arrays = heads.volumes()
    backend, outcome = run(device, arrays, options=options, half=half)
    assert_stages_equal_the_hosts(backend, arrays)
    assert_labels_equal_the_hosts(backend, outcome, arrays, options)
    expected = Segmenter(tiny_model(tmp_path / "m.onnx"), tta=tta, labels="msd", precision="fp32").run(arrays)
    assert (outcome.labels != expected.labels).mean() < (2e-3 if half else 1e-4)
    assert outcome.box == expected.box


def test_small_regions_go_and_the_counts_follow(device):
    arrays = heads.volumes()
    arrays["flair"][8:13, 20:25, 16:21] = 900
    options = StageOptions(tta=False, min_region=0.0, label_values=(0, 1, 2, 4))
    _, kept = run(device, arrays, options=options)
    backend, dropped = run(device, arrays)
    assert kept.labels.astype(bool).sum() > dropped.labels.astype(bool).sum()
    assert_labels_equal_the_hosts(backend, dropped, arrays)


def test_nothing_waits_for_the_host_between_the_first_upload_and_the_last_download(device):
    run(device, heads.volumes())
    operations = [operation for operation, _ in device.calls]
    first = operations.index("upload")
    last_labels = max(k for k, operation in enumerate(operations) if operation == "launch")
    assert "synchronise" not in operations[first:last_labels]
    assert "download" not in operations[first:last_labels]


def test_a_foreground_pass_runs_before_the_next_upload(device):
    run(device, heads.volumes())
    steps = [(operation, what) for operation, what in device.calls if operation == "upload" or what == "foreground"]
    assert [operation for operation, _ in steps if operation != "compile"][1:] == ["upload", "launch"] * 4


def test_a_warm_run_takes_no_memory_and_compiles_nothing(device):
    backend, first = run(device, heads.volumes())
    device.calls.clear()
    second = backend.run(as_volumes(heads.volumes()))
    assert not {"allocate", "pinned", "compile"} & {operation for operation, _ in device.calls}
    assert np.array_equal(first.labels, second.labels)


def test_backends_on_one_device_share_no_state(device):
    one, first = run(device, heads.volumes())
    _, other = run(device, heads.volumes(seed=3))
    assert not np.array_equal(first.labels, other.labels)
    assert np.array_equal(one.run(as_volumes(heads.volumes())).labels, first.labels)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros(heads.SHAPE, np.int16), "flair has no voxel above zero"),
        (np.full(heads.SHAPE, np.nan), r"all \d+ voxels of flair are NaN or infinite"),
        (np.full(heads.SHAPE, 7, np.uint8), "flair is constant"),
        (np.ones((49, 48, 48), np.int16), "memory was taken for"),
        (
            np.ones((5, 1025, 5), np.int16),
            r"flair has the shape \(5, 1025, 5\); the kernels take up to 1024 voxels an axis",
        ),
    ],
)
def test_a_bad_modality_is_refused_in_the_words_of_the_cpu_backend(device, bad, message):
    with pytest.raises(CaseError, match=message):
        run(device, {**heads.volumes(), "flair": bad})


def test_a_network_that_gives_nan_is_refused(device, monkeypatch):
    monkeypatch.setattr("emulated_device.tiny_softmax", lambda crop: np.full(crop.shape, np.nan, np.float32))
    with pytest.raises(EngineError, match="not finite"):
        run(device, heads.volumes())


def test_a_network_longer_than_the_kernels_tables_is_refused(device):
    engine = TinyEngine(device, size=(16, 1025, 16))
    with pytest.raises(EngineError, match=r"\(16, 1025, 16\); the kernels take up to 1024"):
        CudaBackend(device, engine, OPTIONS, largest_shape=SHAPE)


CARD = Spec(normalisation="card")


def run_card(device, arrays, *, half=False, **scale):
    engine = TinyEngine(device, half=half, spec=CARD)
    backend = CudaBackend(device, engine, OPTIONS, largest_shape=SHAPE)
    return backend, backend.run(as_volumes(arrays, **scale))


@pytest.mark.parametrize("order", ORDERS)
def test_the_cards_normalisation_equals_the_hosts_in_every_memory_order(device, order):
    arrays = {name: ORDERS[order](v) for name, v in heads.volumes().items()}
    assert_card_equals_the_hosts(run_card(device, arrays)[0], arrays)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float64"])
def test_the_cards_normalisation_equals_the_hosts_for_other_dtypes(device, dtype):
    arrays = stored(dtype)
    assert_card_equals_the_hosts(run_card(device, arrays)[0], arrays)


def test_the_cards_normalisation_takes_slope_and_intercept_and_gives_half_precision(device):
    arrays = heads.volumes()
    scale = {"slope": 0.25, "intercept": -3.0}
    assert_card_equals_the_hosts(run_card(device, arrays, **scale)[0], arrays, **scale)
    assert_card_equals_the_hosts(run_card(device, arrays, half=True)[0], arrays, tolerance=HALF_SCORES)


def assert_card_equals_the_hosts(backend, arrays, *, tolerance=SCORES_ON_DEVICE, **scale):
    plan = backend._memory.working.found
    box = (tuple(plan["lower"]), tuple(plan["lower"] + plan["extent"]))
    size = backend._memory.size
    dtype = np.float16 if backend._engine.half else np.float32
    crop = backend._device.read(backend._memory.input, dtype, (1, 4, *size)).astype(np.float32)
    for channel, name in enumerate(MODALITIES):
        expected = np.zeros((1, 4, *size), np.float32)
        _host.gather(arrays[name], box, expected, channel, mean=0.0, variance=0.0, normalisation="card", **scale)
        assert (expected[0, channel] < 0).any()
        np.testing.assert_allclose(crop[:, channel], expected[:, channel], rtol=0, atol=tolerance)


def test_a_crop_that_is_constant_is_refused_where_the_card_divides_by_its_deviation(device):
    arrays = heads.volumes()
    speck = np.full(heads.SHAPE, 5, np.int16)
    speck[-1, -1, -1] = 6  # in the plane that the authors lose
    message = "the array of t2: the foreground is constant"
    with pytest.raises(CaseError, match=message):
        run_card(device, {**arrays, "t2": speck})
    # The same words as on the CPU.
    with pytest.raises(ValueError, match="the foreground is constant"):
        _host.gather(
            speck,
            ((0, 0, 0), tuple(n - 1 for n in heads.SHAPE)),
            np.zeros((1, 4, 16, 16, 16), np.float32),
            0,
            mean=0.0,
            variance=0.0,
            normalisation="card",
        )


FAINT = "the array of t2: the intensities of t2 differ by less than a GPU's float32 keeps apart"


@pytest.mark.parametrize(
    ("dtype", "factor", "ftz"),
    [("float32", 1e-34, True), ("float32", 1e-40, True), ("float32", 1e-40, False), ("float64", 1e-43, True)],
)
def test_a_head_that_a_flush_would_change_is_refused_where_the_card_resamples_it_raw(dtype, factor, ftz):
    arrays = heads.volumes()
    faint = (arrays["t2"] * np.float64(factor)).astype(dtype)
    device = EmulatedDevice(mode="fast", ftz=ftz)
    with pytest.raises(CaseError, match=FAINT + r" \(mean .*e-\d\d\); expected scanner units: .* device='cpu'"):
        run_card(device, {**arrays, "t2": faint})


def test_a_head_made_faint_by_its_slope_is_refused_too():
    arrays = heads.volumes()
    with pytest.raises(CaseError, match="of t1 differ by less"):
        run_card(EmulatedDevice(mode="fast", ftz=True), arrays, slope=1e-40)


def test_a_head_whose_crop_alone_is_faint_is_refused():
    arrays = heads.volumes()
    speck = (arrays["t2"] * np.float64(1e-36)).astype(np.float32)
    speck[-1, -1, -1] = 1e4  # in the plane that the authors lose
    with pytest.raises(CaseError, match=FAINT):
        run_card(EmulatedDevice(mode="fast", ftz=True), {**arrays, "t2": speck})


@pytest.mark.parametrize("factor", [1e-29, 1e30])
def test_a_head_that_a_flush_does_not_change_is_normalised_as_on_the_host(factor):
    arrays = {name: (values * np.float64(factor)).astype(np.float32) for name, values in heads.volumes().items()}
    assert_card_equals_the_hosts(run_card(EmulatedDevice(mode="fast", ftz=True), arrays)[0], arrays)


def test_probabilities_that_nobody_wants_stay_on_the_device(device):
    options = StageOptions(tta=False, min_region=0.1, label_values=(0, 1, 2, 4), keep_probabilities=False)
    backend, outcome = run(device, heads.volumes(), options=options)
    assert outcome.softmax is None
    sizes = {nbytes for operation, nbytes in device.calls if operation == "download"}
    assert backend._memory.softmax.buffer.nbytes not in sizes
