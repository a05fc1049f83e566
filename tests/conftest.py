"""What several test files share: devices to run on, and the fake CUDA driver and TensorRT, compiled once a session."""

from __future__ import annotations

import gc
import importlib.util
import os
import signal

import pytest
import tensorrt_fakes
from emulated_device import EmulatedDevice
from signal_stacks import signal_stack

from brats_trt import EngineError

REQUIRED = os.environ.get("BRATS_TRT_REQUIRE_TENSORRT") == "1"


@pytest.fixture(scope="session", autouse=True)
def ctrl_c():
    """Ctrl-C is answered, also where a shell started the tests in the background, which ignores it."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def same_signal_stack():
    """No test leaves the stack of signals changed: on a small one, or one that was freed, Ctrl-C ends the process."""
    before = signal_stack()
    yield
    assert signal_stack() == before


@pytest.fixture(scope="session")
def has_runner():
    """Skips where the runner of TensorRT engines was not built, or fails where it is required."""
    if importlib.util.find_spec("brats_trt._tensorrt") is None:
        (pytest.fail if REQUIRED else pytest.skip)("brats_trt was built without its runner of TensorRT engines")


@pytest.fixture(scope="session")
def compiled_fakes(has_runner, tmp_path_factory):
    if not tensorrt_fakes.has_headers():
        (pytest.fail if REQUIRED else pytest.skip)("no headers to compile the fakes with: scripts/fetch_headers.py")
    return tensorrt_fakes.build(tmp_path_factory.mktemp("fakes"))


@pytest.fixture
def fakes(compiled_fakes):
    """The fakes, at rest before and after."""
    compiled_fakes.cuda.fake_cuda_reset()
    yield compiled_fakes
    gc.collect()
    left, engines = compiled_fakes.state(), compiled_fakes.tensorrt_state()
    assert (left.contexts, left.current, left.allocations, left.events, left.executables, left.graphs) == (0,) * 6
    assert (left.hazards, left.misuses, engines.misuses) == (0, 0, 0)
    assert (engines.runtimes, engines.engines, engines.contexts) == (0, 0, 0)
    compiled_fakes.kept.clear()


@pytest.fixture(params=["emulated", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    """The emulated device, then the real one: the same test runs on both."""
    if request.param == "emulated":
        return EmulatedDevice()
    from cuda_device import CudaDevice

    try:
        return CudaDevice()
    except EngineError as fault:
        if os.environ.get("BRATS_TRT_REQUIRE_GPU") == "1":
            pytest.fail(f"a GPU is required: {fault}")
        pytest.skip(f"no GPU: {fault}")


@pytest.fixture
def words(monkeypatch):
    """Every line of text that pictures get."""
    from PIL.ImageDraw import ImageDraw

    written, draw_as_usual = [], ImageDraw.text

    def text(self, xy, line, *arguments, **options):
        written.append(line)
        return draw_as_usual(self, xy, line, *arguments, **options)

    monkeypatch.setattr(ImageDraw, "text", text)
    return written
