"""What several test files share: the fake CUDA driver and TensorRT, compiled once a session."""

from __future__ import annotations

import gc
import importlib.util
import os

import fake_tensorrt
import pytest

REQUIRED = os.environ.get("BRATS_TRT_REQUIRE_TENSORRT") == "1"


@pytest.fixture(scope="session")
def has_runner():
    """Skips where the runner of TensorRT engines was not built, or fails where it is required."""
    if importlib.util.find_spec("brats_trt._tensorrt") is None:
        (pytest.fail if REQUIRED else pytest.skip)("brats_trt was built without its runner of TensorRT engines")


@pytest.fixture(scope="session")
def compiled_fakes(has_runner, tmp_path_factory):
    if not fake_tensorrt.has_headers():
        (pytest.fail if REQUIRED else pytest.skip)("no headers to compile the fakes with: scripts/fetch_headers.py")
    return fake_tensorrt.build(tmp_path_factory.mktemp("fakes"))


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
