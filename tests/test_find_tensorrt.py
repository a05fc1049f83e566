"""cmake/FindTensorRT.cmake: where it looks, and what it makes of the headers that it finds."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MODULE = Path(__file__).parents[1] / "cmake" / "FindTensorRT.cmake"
PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(probe LANGUAGES NONE)
set(CMAKE_FIND_USE_CMAKE_SYSTEM_PATH OFF)
set(CMAKE_FIND_USE_SYSTEM_ENVIRONMENT_PATH OFF)
list(APPEND CMAKE_MODULE_PATH ${PROJECT_SOURCE_DIR}/cmake)
find_package(TensorRT)
message(STATUS "found=${TensorRT_FOUND} version=${TensorRT_VERSION} rtx=${TensorRT_RTX} in=${TensorRT_INCLUDE_DIR}")
"""
VERSION = """
#define {prefix}MAJOR{suffix} {0}
#define {prefix}MINOR{suffix} {1}
#define {prefix}PATCH{suffix} {2}
"""
INDIRECT = """
#define NV_TENSORRT_MAJOR TRT_MAJOR_{suffix} //!< TensorRT major version.
#define NV_TENSORRT_MINOR TRT_MINOR_{suffix}
#define NV_TENSORRT_PATCH TRT_PATCH_{suffix}
"""

pytestmark = pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")


def headers(folder, version, suffix=None):
    """A folder of headers that say their version as TensorRT 8 did, or by way of other macros."""
    folder.mkdir(parents=True)
    prefix = "TRT_" if suffix else "NV_TENSORRT_"
    text = VERSION.format(*version, prefix=prefix, suffix=f"_{suffix}" if suffix else "")
    (folder / "NvInferVersion.h").write_text(text + (INDIRECT.format(suffix=suffix) if suffix else ""))
    return folder


@pytest.fixture
def probe(tmp_path):
    """Configures a project with the module, with CUDA's headers, apart from the system's; returns what it says."""
    project = tmp_path / "project"
    (project / "cmake").mkdir(parents=True)
    (project / "CMakeLists.txt").write_text(PROJECT)
    shutil.copy(MODULE, project / "cmake")
    cuda = tmp_path / "cuda" / "include" / "crt"
    cuda.mkdir(parents=True)
    (cuda / "host_defines.h").touch()

    def configure(*options, **environment):
        shutil.rmtree(tmp_path / "build", ignore_errors=True)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("TensorRT", "CUDA"))}
        done = subprocess.run(
            ["cmake", "-S", project, "-B", tmp_path / "build", f"-DCUDAToolkit_ROOT={tmp_path / 'cuda'}", *options],
            env={**inherited, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1)
        return f"{done.stdout}{done.stderr}exit={done.returncode}"

    return configure


def test_the_root_is_taken_from_a_variable_or_the_environment(probe, tmp_path):
    sdk = tmp_path / "sdk"
    include = headers(sdk / "include", (10, 14, 1), "ENTERPRISE")
    assert f"found=TRUE version=10.14.1 rtx=FALSE in={include}" in probe(f"-DTensorRT_ROOT={sdk}")
    assert f"found=TRUE version=10.14.1 rtx=FALSE in={include}" in probe(TensorRT_ROOT=str(sdk))
    flat = headers(tmp_path / "flat", (11, 4, 0), "ENTERPRISE")
    assert f"found=TRUE version=11.4.0 rtx=FALSE in={flat}" in probe(f"-DTensorRT_ROOT={flat}", TensorRT_ROOT=str(sdk))


def test_an_sdk_of_rtx_is_known_as_such(probe, tmp_path):
    headers(tmp_path / "rtx" / "include", (1, 7, 1), "RTX")
    assert "found=TRUE version=1.7.1 rtx=TRUE" in probe(f"-DTensorRT_ROOT={tmp_path / 'rtx'}")


def test_headers_from_before_10_14_are_refused_with_their_version(probe, tmp_path):
    old = headers(tmp_path / "old", (8, 6, 1))
    said = probe(f"-DTensorRT_ROOT={old}")
    assert "found=FALSE" in said
    assert "8.6.1, 10.14 or later is needed" in " ".join(said.split())


def test_fetched_headers_are_found_without_a_word(probe, tmp_path):
    fetched = headers(tmp_path / "project" / "build" / "headers" / "tensorrt", (10, 14, 1), "ENTERPRISE")
    said = probe()
    assert "found=TRUE version=10.14.1" in said
    assert Path(said.split("in=")[1].splitlines()[0]).resolve() == fetched.resolve()


def test_without_headers_nothing_is_found_and_configuring_goes_on(probe):
    said = probe()
    assert "found=FALSE" in said
    assert "exit=0" in said


def test_a_root_without_headers_is_an_error_rather_than_passed_over(probe, tmp_path):
    headers(tmp_path / "project" / "build" / "headers" / "tensorrt", (10, 14, 1), "ENTERPRISE")
    said = " ".join(probe(f"-DTensorRT_ROOT={tmp_path / 'empty'}").split())
    assert "empty, which holds no NvInferVersion.h" in said
    assert "exit=1" in said
