"""Arrays on a GPU: how their owners describe them, and how a run takes them in place."""

from __future__ import annotations

import heads
import numpy as np
import pytest
from emulated_device import EmulatedDevice, TinyEngine
from gpu_arrays import DlpackArray, InterfaceArray, RecordedTensor, on_device

from brats_trt import CaseError, Segmenter
from brats_trt.backends import StageOptions
from brats_trt.backends.cuda import CudaBackend
from brats_trt.case import Volume, load_case
from brats_trt.device_array import device_array, lies_on_a_gpu
from brats_trt.spec import MODALITIES

OPTIONS = StageOptions(tta=False, min_region=0.1, label_values=(0, 1, 2, 4))
VIEWS = {
    "C": lambda v: np.ascontiguousarray(v),
    "F": lambda v: np.asfortranarray(v),
    "every other": lambda v: np.repeat(v, 2, axis=2)[:, :, ::2],
    "reversed": lambda v: np.ascontiguousarray(v[::-1, :, ::-1])[::-1, :, ::-1],
    "broadcast": lambda v: np.broadcast_to(v[:, :, 20:21], v.shape),
}


@pytest.mark.parametrize("make", [InterfaceArray, DlpackArray])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int64", "float16", "float64"])
@pytest.mark.parametrize("view", ["C", "F", "every other", "reversed"])
def test_an_array_is_described_as_numpy_sees_it(make, dtype, view):
    values = VIEWS[view](np.arange(60).reshape(3, 4, 5).astype(dtype))
    array = device_array(make(values), "it")
    assert (array.address, array.shape, array.strides) == (values.ctypes.data, values.shape, values.strides)
    assert (array.dtype, array.size, array.ndim) == (values.dtype, 60, 3)


def test_missing_strides_mean_c_order():
    values = np.zeros((3, 4, 5), np.int16)
    assert device_array(InterfaceArray(values, strides=None), "it").strides == values.strides
    assert device_array(DlpackArray(values, dense=True), "it").strides == values.strides


def test_dlpacks_byte_offset_counts():
    values = np.zeros((3, 4, 5), np.int16)
    assert device_array(DlpackArray(values, offset=64), "it").address == values.ctypes.data


def test_a_part_of_the_last_axis_lies_in_place():
    values = np.zeros((3, 4, 5, 4), np.int16)
    part = device_array(InterfaceArray(values), "it").along_last_axis(2)
    assert (part.address, part.shape, part.strides) == (
        values[..., 2].ctypes.data,
        (3, 4, 5),
        values[..., 2].strides,
    )


def test_host_arrays_lie_on_no_gpu():
    class Pinned(DlpackArray):
        def __init__(self, values):
            super().__init__(values, device=3)

    values = np.zeros((3, 4, 5), np.int16)
    assert [lies_on_a_gpu(v) for v in (values, Pinned(values), "a path", None)] == [False] * 4
    assert lies_on_a_gpu(InterfaceArray(values))
    assert lies_on_a_gpu(DlpackArray(values))
    assert lies_on_a_gpu(RecordedTensor())


ZEROS = np.zeros((3, 4, 5), np.int16)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (RecordedTensor(), r"its owner keeps it \(gradients are recorded: use tensor.detach\(\)\)"),
        (InterfaceArray(ZEROS, mask=InterfaceArray(ZEROS)), "masked array"),
        (InterfaceArray(ZEROS.astype(">i2")), "byte order '>i2'"),
        (InterfaceArray(ZEROS, data=(ZEROS.ctypes.data + 1, True)), "not aligned to its int16 elements"),
        (InterfaceArray(ZEROS, strides=(41, 10, 2)), "not aligned"),
        (InterfaceArray(ZEROS, shape=None), "its owner keeps it"),
        (DlpackArray(ZEROS, device=10), "type 10; expected CUDA's"),
        (DlpackArray(ZEROS.astype(complex)), "DLPack's type 5 with 128 bits"),
    ],
)
def test_an_array_that_cannot_be_taken_is_refused_with_the_reason(value, message):
    with pytest.raises(CaseError, match=message):
        device_array(value, "the array of t1")


def test_a_segmenter_on_the_cpu_refuses_it_and_names_the_remedy():
    arrays = heads.volumes()
    with pytest.raises(CaseError, match=r"the array of t1ce lies on a GPU.*copy it to the host, or use device='cuda'"):
        Segmenter(precision="fp32").run({**arrays, "t1ce": InterfaceArray(arrays["t1ce"])})


@pytest.fixture
def device():
    return EmulatedDevice()


@pytest.fixture
def backend(device):
    return CudaBackend(device, TinyEngine(device), OPTIONS, largest_shape=heads.SHAPE)


def volumes_of(source):
    case = load_case(source)
    return [(name, case.volumes[name]) for name in MODALITIES]


@pytest.mark.parametrize("make", [InterfaceArray, DlpackArray])
@pytest.mark.parametrize("view", VIEWS)
def test_arrays_on_the_device_give_the_host_arrays_labels(device, backend, make, view):
    arrays = {name: VIEWS[view](v) for name, v in heads.volumes().items()}
    expected = backend.run(volumes_of(arrays))
    there = {name: make(on_device(device, v)) for name, v in arrays.items()}
    device.calls.clear()
    outcome = backend.run(volumes_of(there))
    assert np.array_equal(outcome.labels, expected.labels)
    assert outcome.box == expected.box
    assert [nbytes for call, nbytes in device.calls if call == "upload"] == [
        backend._memory.working.setup.buffer.nbytes
    ]
    assert not {"allocate", "pinned"} & {call for call, _ in device.calls}


def test_a_four_dimensional_array_on_the_device_is_taken_in_the_specs_order(device, backend):
    arrays = heads.volumes()
    whole = np.stack([arrays[name] for name in MODALITIES], axis=-1)
    expected = backend.run(volumes_of(arrays))
    outcome = backend.run(volumes_of(InterfaceArray(on_device(device, whole))))
    assert np.array_equal(outcome.labels, expected.labels)


def test_host_and_device_arrays_mix(device, backend):
    arrays = heads.volumes()
    expected = backend.run(volumes_of(arrays))
    mixed = {**arrays, "t2": InterfaceArray(on_device(device, arrays["t2"]))}
    assert np.array_equal(backend.run(volumes_of(mixed)).labels, expected.labels)
    assert np.array_equal(backend.run(volumes_of(arrays)).labels, expected.labels), "the slot is the host's again"


def test_the_work_waits_for_the_owners_stream(device, backend):
    arrays = {name: on_device(device, v) for name, v in heads.volumes().items()}
    volumes = {name: InterfaceArray(v, stream=7) for name, v in arrays.items()}
    backend.run(volumes_of(volumes))
    assert [call for call in device.calls if call[0] == "foreign stream"] == [("foreign stream", 7)] * 4
    steps = [call for call, what in device.calls if call in ("foreign stream", "wait") or what == "foreground"]
    assert [step for step in steps if step != "compile"][:3] == ["foreign stream", "wait", "launch"]


def test_an_owner_that_speaks_dlpack_orders_our_stream_behind_its_own(device, backend):
    arrays = {name: DlpackArray(on_device(device, v)) for name, v in heads.volumes().items()}
    backend.run(volumes_of(arrays))
    for array in arrays.values():
        assert array.streams == [-1, device.handle(backend._work)]


def test_an_array_on_another_gpu_is_refused(device, backend):
    arrays = {name: on_device(device, v) for name, v in heads.volumes().items()}
    with pytest.raises(CaseError, match="t1 lies on GPU 1, but this segmenter runs on GPU 0: copy it there"):
        backend.run(volumes_of({**arrays, "t1": DlpackArray(arrays["t1"], index=1)}))


def test_the_input_is_not_written_to(device, backend):
    arrays = {name: on_device(device, v) for name, v in heads.volumes().items()}
    before = {name: v.copy() for name, v in arrays.items()}
    backend.run([(name, Volume(device_array(InterfaceArray(v), name), 1.0, 0.0, name)) for name, v in arrays.items()])
    for name, values in arrays.items():
        assert np.array_equal(values, before[name])
