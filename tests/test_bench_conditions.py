"""Conditions, as the system has them or hides them."""

from __future__ import annotations

import mmap
import os

import numpy as np
import pytest

import brats_trt
from brats_trt import _host
from brats_trt.bench import conditions


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Puts an nvidia-smi that gives these answers in the path."""

    def install(answer, code=0):
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\nexit {code}\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return install


@pytest.fixture
def gpu(monkeypatch):
    class Named:
        name = "A GPU"

    monkeypatch.setattr("brats_trt.backends.cupy_device.CupyDevice", Named)


def test_the_processor_is_what_the_kernel_says(tmp_path):
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: One\ncpu MHz\t\t: 2400.5\n\n"
        "processor\t: 1\nmodel name\t: One\ncpu MHz\t\t: 800\n"
    )
    frequencies = tmp_path / "cpu0" / "cpufreq"
    frequencies.mkdir(parents=True)
    (frequencies / "cpuinfo_max_freq").write_text("3500000\n")
    cpu = conditions.read_cpu(tmp_path, tmp_path)
    assert (cpu.model, cpu.mhz, cpu.max_mhz) == ("One", (2400.5, 800.0), 3500.0)
    assert cpu.cores == _host.usable_cores()


def test_what_the_kernel_hides_is_none(tmp_path):
    cpu = conditions.read_cpu(tmp_path, tmp_path)
    assert (cpu.model, cpu.mhz, cpu.max_mhz) == (None, None, None)
    assert conditions.peak_rss_mib(tmp_path) is None
    assert not conditions.reset_peak_rss(tmp_path)


def touched(nbytes):
    """Pages of the system's own: an allocator keeps what is freed, if another library has told it to."""
    block = mmap.mmap(-1, nbytes)
    block[:: mmap.PAGESIZE] = b"x" * (nbytes // mmap.PAGESIZE)
    return block


def test_the_peak_is_that_since_the_reset():
    block = touched(80 * 2**20)
    peak = conditions.peak_rss_mib()
    block.close()
    if not conditions.reset_peak_rss():
        pytest.skip("this kernel does not reset the peak")
    low = conditions.peak_rss_mib()
    assert low < peak - 40
    block = touched(80 * 2**20)
    assert conditions.peak_rss_mib() > low + 60
    block.close()


def test_the_host_module_knows_how_it_was_compiled():
    module = conditions.read_host_module()
    assert module.compiler.split()[1][0].isdigit()
    assert "-ffp-contract=off" in module.build_flags
    assert "$<" not in module.build_flags
    assert module.instruction_set == _host.instruction_set


def test_versions_name_what_is_installed():
    versions = conditions.read_versions()
    assert versions.brats_trt == brats_trt.__version__
    assert versions.numpy == np.__version__
    assert versions.openvino


def test_a_gpus_clocks_come_from_nvidia_smi(nvidia_smi, gpu):
    nvidia_smi("550.54, 1410, 1593")
    assert conditions.read_gpu() == conditions.Gpu("A GPU", "550.54", 1410.0, 1593.0)


@pytest.mark.parametrize("answer", ["550.54, 1410, 1593\n550.54, 210, 405", "", "No devices were found"])
def test_clocks_that_could_be_another_gpus_are_none(nvidia_smi, gpu, answer):
    nvidia_smi(answer)
    assert conditions.read_gpu() == conditions.Gpu("A GPU", None, None, None)


def test_clocks_that_are_hidden_are_none(nvidia_smi, gpu):
    nvidia_smi("550.54, [N/A], 1593")
    assert conditions.read_gpu().sm_mhz is None


def test_device_memory_is_this_processs_own(nvidia_smi):
    nvidia_smi("11, 500\n12, 700\n11, 24")
    assert conditions.device_memory_mib(11) == 524.0
    assert conditions.device_memory_mib(13) is None


def test_a_failing_nvidia_smi_says_nothing(nvidia_smi):
    nvidia_smi("11, 500", code=9)
    assert conditions.device_memory_mib(11) is None
