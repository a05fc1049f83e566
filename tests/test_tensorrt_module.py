"""The runner of TensorRT engines, on a fake TensorRT and a fake CUDA driver."""

from __future__ import annotations

import gc
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from models import tiny_softmax
from tensorrt_fakes import INPUT, OUTPUT, DeviceArray

from brats_trt import EngineError

try:
    from brats_trt import _tensorrt as runner
except ImportError:
    runner = None


def load(fakes, path=None, **options):
    """The fake library; not a fixture, which would outlive the test."""
    return runner.Library(str(path or fakes.tensorrt), **{"driver": str(fakes.driver), **options})


def crop(size=4, dtype=np.float32):
    return np.random.default_rng(7).random((1, 4, size, size, size), np.float32).astype(dtype)


class Bench:
    """An engine with a context, arrays and a stream."""

    def __init__(self, fakes, words="", dtype=np.float32, **options):
        plan = f"FAKE PLAN {words} dtype={np.dtype(dtype).name}".encode()
        self.engine = runner.Engine(load(fakes), plan)
        self.context = runner.Context(self.engine, **options)
        self.crop = crop(self.engine.tensors[0].shape[2], dtype)
        self.source, self.target = fakes.array(self.crop), fakes.array(np.full_like(self.crop, -1))
        self.stream = fakes.stream()

    @property
    def arrays(self):
        return {INPUT: self.source, OUTPUT: self.target}

    def enqueue(self, **changes):
        self.context.enqueue({**self.arrays, **changes}, self.stream)

    def assert_answered(self):
        expected = tiny_softmax(self.crop.astype(np.float32))
        half = self.crop.dtype == np.float16
        np.testing.assert_allclose(self.target.data, expected, rtol=0, atol=1e-3 if half else 1e-5)


def test_a_library_names_itself_and_its_device(fakes):
    library = load(fakes)
    assert library.path == str(fakes.tensorrt)
    assert library.version == runner.headers_version
    assert (library.device, library.device_name, library.compute_capability) == (0, "Fake GPU", (9, 0))
    assert runner.flavour == "tensorrt"
    assert runner.library_names == ("libnvinfer.so.10", "libnvinfer_lean.so.10")


def test_an_engine_names_its_tensors(fakes):
    engine = runner.Engine(load(fakes), bytearray(b"FAKE PLAN size=6 dtype=float16 scratch=5000 refittable=1"))
    source, target = engine.tensors
    assert (source.name, source.dtype, source.shape, source.input) == (INPUT, "float16", (1, 4, 6, 6, 6), True)
    assert (target.name, target.nbytes, target.input) == (OUTPUT, 4 * 6**3 * 2, False)
    assert (engine.scratch_nbytes, engine.refittable) == (5000, True)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_run_answers_into_arrays_and_addresses_alike(fakes, dtype):
    bench = Bench(fakes, "size=6", dtype)
    bench.enqueue()
    bench.context.synchronise()
    bench.assert_answered()
    bench.target.data[...] = -1
    bench.enqueue(**{INPUT: bench.source.address, OUTPUT: np.int64(bench.target.address)})
    bench.assert_answered()


def test_graphs_are_captured_from_the_second_run_on_unless_switched_off(fakes):
    bench, plain = Bench(fakes), Bench(fakes, graph=False)
    for _ in range(3):
        bench.enqueue()
        plain.enqueue()
    bench.assert_answered()
    assert (bench.context.captures, plain.context.captures) == (1, 0)
    assert fakes.state().launches == 2
    with pytest.raises(EngineError, match=r"legacy default stream cannot be captured: .* graph=False"):
        bench.context.enqueue(bench.arrays, 0)


def test_poison_shows_what_the_network_did_not_write(fakes):
    bench = Bench(fakes, "fault=forgets", poison=True)
    bench.enqueue()
    assert np.isnan(bench.target.data).all()
    assert runner.poisons_by_default is False, "the package is not a debug build"


def test_contexts_share_device_memory_on_request(fakes):
    engine = runner.Engine(load(fakes), b"FAKE PLAN scratch=4096")
    first = runner.Context(engine)
    taken = fakes.state().bytes
    second = runner.Context(engine, share=first)
    assert fakes.state().bytes == taken
    runner.Context(engine)
    del first
    source, target = fakes.array(crop()), fakes.array(crop())
    second.enqueue({INPUT: source, OUTPUT: target}, fakes.stream())
    np.testing.assert_allclose(target.data, tiny_softmax(source.data), atol=1e-5)


def test_layers_are_timed_from_outside(fakes):
    bench = Bench(fakes)
    times = runner.layer_times(bench.context, bench.arrays, bench.stream, runs=4)
    assert times == [("scores", pytest.approx(2.0)), ("softmax", pytest.approx(1.0))]
    bench.assert_answered()


def test_children_hold_their_parents(fakes):
    bench = Bench(fakes)
    bench.engine = None
    gc.collect()
    assert fakes.tensorrt_state().engines == 1
    bench.enqueue()
    bench.assert_answered()


FAULTS = {
    "fault=engine": "TensorRT 10.14.1 on Fake GPU does not take the plan: build it with this version",
    "stripped=4096": "stripped of 4096 bytes of weights, and would run without them: refit it, or build it unstripped",
    "fault=dynamic": "data_crop has an axis of -1 elements; expected fixed extents of 1 or more",
    "fault=host": "softmax_lbl3 lies on the host",
    "fault=format": "not laid out in C order",
    "dtype=fp8": "elements of TensorRT's type 6; expected float16 or float32",
}


@pytest.mark.parametrize("words", FAULTS)
def test_a_plan_that_cannot_run_is_refused(fakes, words):
    with pytest.raises(EngineError) as raised:
        runner.Engine(load(fakes), f"FAKE PLAN {words}".encode())
    assert FAULTS[words] in str(raised.value)


@pytest.mark.parametrize("plan", [b"", b"garbage", bytes(100_000)])
def test_garbage_is_refused_in_tensorrts_words(fakes, plan):
    with pytest.raises(
        EngineError, match=r"does not take the plan.* \[TensorRT: .*magicTagRead == kMAGIC_TAG failed\]"
    ):
        runner.Engine(load(fakes), plan)


def test_what_is_no_row_of_bytes_is_no_plan(fakes):
    for plan in (np.zeros((2, 2), np.uint8), np.zeros(4, np.float32), np.zeros(8, np.uint8)[::2]):
        with pytest.raises(EngineError, match="not a row of bytes"):
            runner.Engine(load(fakes), plan)


def test_a_failing_context_or_run_is_refused_in_tensorrts_words(fakes):
    with pytest.raises(EngineError, match=r"makes no execution context .*\[TensorRT: createExecutionContext: out of"):
        Bench(fakes, "fault=context")
    with pytest.raises(EngineError, match=r"allocate 8000000000 bytes on Fake GPU .*CUDA_ERROR_OUT_OF_MEMORY"):
        Bench(fakes, "scratch=8000000000")
    with pytest.raises(EngineError, match=r"failed to queue the engine .*\[TensorRT: enqueueV3: Cask convolution"):
        Bench(fakes, "fault=enqueue").enqueue()
    captured = Bench(fakes, "fault=capture")
    captured.enqueue()
    with pytest.raises(EngineError, match=r"cannot be captured; use graph=False: .*lazy work in a capture"):
        captured.enqueue()


def test_what_went_wrong_on_the_device_is_said_on_synchronising(fakes):
    bench = Bench(fakes)
    bench.enqueue()
    fakes.cuda.fake_cuda_fail(b"cuEventSynchronize", 719, 1)
    with pytest.raises(EngineError, match=r"in the engine's run \(CUDA_ERROR_LAUNCH_FAILED"):
        bench.context.synchronise()


def test_a_library_that_is_not_the_right_one_is_refused(fakes):
    with pytest.raises(
        EngineError, match=r"is TensorRT 11.4.0; this build of brats_trt drives 10.14.0 and later of major"
    ):
        load(fakes, fakes.tensorrt_11)
    with pytest.raises(EngineError, match=r"/nowhere.so cannot be loaded .*pip install 'tensorrt-cu13"):
        load(fakes, "/nowhere.so")
    with pytest.raises(EngineError, match="has no function getInferLibVersion"):
        load(fakes, fakes.driver)
    with pytest.raises(EngineError, match=r"no CUDA driver: libnone.so cannot be loaded .*install NVIDIA's driver"):
        load(fakes, fakes.tensorrt, driver="libnone.so")
    with pytest.raises(EngineError, match="CUDA device 1 was asked for; expected one from 0 to 0"):
        load(fakes, fakes.tensorrt, device=1)
    fakes.cuda.fake_cuda_set_devices(0)
    with pytest.raises(
        EngineError, match=r"no CUDA device \(CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected\)"
    ):
        load(fakes, "/nowhere.so")


SPOILT = {
    "is float32 (1, 4, 4, 4)": {"shape": (1, 4, 4, 4)},
    "is float16 (1, 4, 4, 4, 4)": {"typestr": "<f2"},
    "is dtype >f4 (1, 4, 4, 4, 4)": {"typestr": ">f4"},
    "is strided": {"strides": (1024, 256, 4, 16, 64)},
    "is read-only": {"data": (0x1000, True)},
    "is masked": {"mask": object()},
    "names the stream 0": {"stream": 0},
    "has an interface that cannot be read": {"data": None},
    "has an interface that cannot be read: KeyError: 'typestr'": {"typestr": "absent"},
    "is not memory of CUDA device 0": {"data": (0x1000, False)},
}


@pytest.mark.parametrize("fault", SPOILT)
def test_an_array_that_does_not_fit_is_refused(fakes, fault):
    bench = Bench(fakes)
    bench.target.changes = SPOILT[fault]
    with pytest.raises(EngineError) as raised:
        bench.enqueue()
    assert fault in str(raised.value)
    assert OUTPUT in str(raised.value)
    bench.target.changes = {"strides": (1024, 256, 64, 16, 4)}
    bench.enqueue()
    bench.assert_answered()


def test_an_input_may_be_read_only_and_strides_of_single_elements_may_be_anything(fakes):
    bench = Bench(fakes)
    bench.source.changes = {"data": (bench.source.address, True), "strides": (7, 256, 64, 16, 4)}
    bench.enqueue()
    bench.assert_answered()


@pytest.mark.parametrize(("device", "fits"), [((2, 0), True), ((13, 0), True), ((2, 1), False), ((1, 0), False)])
def test_the_device_that_dlpack_names_is_checked(fakes, device, fits):
    class Located(DeviceArray):
        def __dlpack_device__(self):
            return device

    bench = Bench(fakes)
    bench.source = Located(bench.source.data)
    if fits:
        bench.enqueue()
        bench.assert_answered()
    else:
        with pytest.raises(EngineError, match=r"data_crop lies on DLPack's device .*copy it to CUDA device 0"):
            bench.enqueue()


def test_tensors_are_given_by_name_each_once(fakes):
    bench = Bench(fakes)
    for arrays, fault in [
        ({INPUT: bench.source}, "no array for softmax_lbl3; expected one for each of data_crop, softmax_lbl3"),
        ({**bench.arrays, "more": bench.source}, "got arrays for .*more.*expected one for each of"),
        ({**bench.arrays, INPUT: crop()}, "is a ndarray; .*give an address, or an array with __cuda_array_interface__"),
        ({**bench.arrays, INPUT: None}, "is a NoneType"),
        ({**bench.arrays, INPUT: -1}, "data_crop is at the address -1"),
        ({**bench.arrays, INPUT: bench.target}, "data_crop and softmax_lbl3 overlap"),
        ({**bench.arrays, INPUT: bench.source.address + 4}, "not a multiple of 256 bytes"),
    ]:
        with pytest.raises(EngineError, match=fault):
            bench.context.enqueue(arrays, bench.stream)
    for stream in ("7", None, -1, object()):
        with pytest.raises(EngineError, match="expected its handle"):
            bench.context.enqueue(bench.arrays, stream)


def test_an_arrays_own_stream_is_waited_for_where_it_is_another(fakes):
    bench = Bench(fakes, graph=False)
    bench.enqueue()
    ordinary = fakes.calls("cuStreamWaitEvent")
    bench.source.changes = {"stream": bench.stream}
    bench.enqueue()
    assert fakes.calls("cuStreamWaitEvent") == 2 * ordinary
    bench.source.changes = {"stream": fakes.stream()}
    bench.target.changes = {"stream": 1}
    bench.enqueue()
    assert fakes.calls("cuStreamWaitEvent") == 3 * ordinary + 2


@contextmanager
def held(fakes, call):
    """A call in a thread of its own that stands at the fakes' gate within the block, and has ended after it."""
    raised = []

    def body():
        try:
            call()
        except EngineError as fault:
            raised.append(fault)

    fakes.cuda.fake_cuda_set_gate(0)
    thread = threading.Thread(target=body)
    thread.start()
    # This loop runs only where the call does not hold the GIL.
    while not fakes.cuda.fake_cuda_waiting() and thread.is_alive():
        pass
    assert fakes.cuda.fake_cuda_waiting() == 1
    yield
    fakes.cuda.fake_cuda_set_gate(1)
    thread.join(30)
    assert not thread.is_alive()
    assert not raised


def test_the_gil_is_released_from_load_to_synchronise(fakes):
    with held(fakes, lambda: runner.Engine(load(fakes), b"FAKE PLAN gate=load")):
        pass
    engine = runner.Engine(load(fakes), b"FAKE PLAN gate=context")
    with held(fakes, lambda: runner.Context(engine)):
        pass
    bench = Bench(fakes, "gate=run")
    refusal = pytest.raises(EngineError, match="another thread is in this context: make one context for each worker")
    with held(fakes, bench.enqueue), refusal:
        bench.enqueue()
    bench.assert_answered()
    fakes.cuda.fake_cuda_hold_synchronise()
    with held(fakes, bench.context.synchronise):
        pass


def test_workers_with_a_context_each_run_at_once(fakes):
    benches = [Bench(fakes) for _ in range(4)]
    faults = []

    def work(bench):
        try:
            for _ in range(25):
                bench.enqueue()
                bench.context.synchronise()
                bench.assert_answered()
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(bench,)) for bench in benches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert [bench.context.captures for bench in benches] == [1] * 4
