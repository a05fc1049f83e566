"""The real lean runtime of TensorRT: whatever the machine lacks, a clean error. Each case in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys

import pytest

from brats_trt.backends.tensorrt import import_runner, packaged_library

pytestmark = pytest.mark.usefixtures("has_runner")

# Prints what happened; a crash shows in the exit status.
LOAD = """
import sys
from brats_trt import EngineError, _tensorrt
path, driver, plan = sys.argv[1:]
try:
    library = _tensorrt.Library(path, driver=driver)
    print("runtime:", library.version, flush=True)
    _tensorrt.Engine(library, bytes.fromhex(plan))
    print("deserialised")
except EngineError as fault:
    print("EngineError:", fault)
"""


def load(path, *, driver="libcuda.so.1", plan=b"garbage"):
    done = subprocess.run(
        [sys.executable, "-I", "-c", LOAD, str(path), str(driver), plan.hex()],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def lean(has_runner):
    if importlib.util.find_spec("tensorrt_lean_libs") is None:
        pytest.skip("the lean runtime is not installed")
    path = packaged_library(("libnvinfer_lean.so.10",))
    if not path or import_runner().headers_version.split(".")[0] != "10":
        pytest.skip("the lean runtime is not of the major that the runner drives")
    return path


@pytest.mark.parametrize("plan", [b"", b"garbage", bytes(10_000)], ids=["empty", "garbage", "zeros"])
def test_without_a_device_and_with_garbage_the_error_is_clean(lean, plan):
    said = load(lean, plan=plan)
    if "runtime:" in said:  # on a machine with a GPU
        assert "does not take the plan" in said
    else:
        assert "EngineError: no CUDA" in said
        assert "install NVIDIA's driver" in said


def test_a_driver_that_tensorrts_cuda_does_not_start_with_gives_no_runtime(lean, compiled_fakes, tmp_path):
    # Under the name that TensorRT looks for, so that it finds the fake, which is no whole driver.
    driver = tmp_path / "libcuda.so.1"
    driver.symlink_to(compiled_fakes.driver)
    said = load(lean, driver=driver)
    assert "EngineError" in said
    assert "gives no runtime on Fake GPU: update NVIDIA's driver" in said
    assert "[TensorRT: createInferRuntime: Error Code 6: API Usage Error (CUDA initialization failure" in said


def test_a_library_that_was_cut_short_is_refused_and_not_mapped(lean, compiled_fakes, tmp_path):
    cut = tmp_path / "libnvinfer_lean.so.10"
    shutil.copyfile(lean, cut)
    nbytes = cut.stat().st_size
    for left in (nbytes - 1, nbytes // 2, 1 << 16):
        os.truncate(cut, left)
        said = load(cut, driver=compiled_fakes.driver)
        assert f"the file is cut short, it has {left} bytes and its headers speak of {nbytes}: install it again" in said
    os.truncate(cut, 40)
    assert "cannot be loaded" in load(cut, driver=compiled_fakes.driver)


def test_a_real_library_of_another_major_is_refused(has_runner, compiled_fakes):
    name = "libtensorrt_rtx.so.1"
    path = packaged_library((name,))
    if not path:
        pytest.skip("TensorRT-RTX is not installed")
    said = load(path, driver=compiled_fakes.driver)
    assert f"{name} is TensorRT 1." in said
    assert "drives 10.14.0 and later of major 10" in said
