"""scripts/gpu_check where there is no GPU: what can run does, on the emulated device; what cannot says why."""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from models import tiny_model

import brats_trt.demo
from brats_trt.plans.flavour import load_flavour

SCRIPTS = Path(__file__).parents[1] / "scripts"


def module(name, path):
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    loaded = importlib.util.module_from_spec(spec)
    loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def check():
    return module("gpu_check", SCRIPTS / "gpu_check")


@pytest.fixture
def measure(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return module("gpu_measure", SCRIPTS / "gpu_measure.py")


def run(check, monkeypatch, tmp_path, steps):
    monkeypatch.setattr(check, "steps", lambda options: steps)
    monkeypatch.setattr(sys, "argv", ["gpu_check", "-o", str(tmp_path / "found.json"), "--emulated"])
    return check.main(), json.loads((tmp_path / "found.json").read_text())


def test_a_step_that_fails_or_cannot_run_is_written_down_and_the_others_go_on(check, monkeypatch, tmp_path):
    def skip():
        raise check.CannotRunError("no GPU")

    code, document = run(check, monkeypatch, tmp_path, {"a": lambda: 1 / 0, "b": skip, "c": lambda: {"n": 3}})
    assert code == 1
    assert {name: step["status"] for name, step in document["steps"].items()} == {
        "a": "failed",
        "b": "skipped",
        "c": "passed",
    }
    assert "division by zero" in document["steps"]["a"]["reason"]
    assert document["steps"]["c"]["found"] == {"n": 3}
    assert "not a medical device" in document["notice"]


def test_without_a_failure_the_exit_code_is_0(check, monkeypatch, tmp_path):
    assert run(check, monkeypatch, tmp_path, {"a": lambda: None})[0] == 0


def test_a_command_that_fails_or_hangs_is_told_with_its_output(check):
    with pytest.raises(check.FaultFoundError, match=r"exited with 3\nwords"):
        check.execute([sys.executable, "-c", "print('words'); raise SystemExit(3)"], limit_s=60)
    with pytest.raises(check.FaultFoundError, match="did not end in 1 s"):
        check.execute([sys.executable, "-c", "import time; time.sleep(60)"], limit_s=1)


def test_tests_that_all_skip_count_as_a_failure(check, tmp_path):
    skipping = tmp_path / "test_skipping.py"
    skipping.write_text("import pytest\ndef test_it():\n    pytest.skip('no')\n")
    with pytest.raises(check.FaultFoundError, match="no test ran"):
        check.pytest_counts(["-c", "/dev/null", str(skipping)], limit_s=120, before=[])


def test_tests_are_counted(check, tmp_path):
    passing = tmp_path / "test_passing.py"
    passing.write_text("def test_it():\n    pass\n")
    counts = check.pytest_counts(["-c", "/dev/null", str(passing)], limit_s=120, before=[])
    assert counts == {"tests": 1, "failures": 0, "errors": 0, "skipped": 0}


def test_without_a_gpu_a_measurement_fails_with_one_clear_line():
    command = [sys.executable, str(SCRIPTS / "gpu_measure.py"), "stages", "--runs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        pytest.skip("there is a GPU")
    assert done.stderr.splitlines()[-1].startswith("stages: device 'cuda' ")


@pytest.mark.skipif(
    not importlib.util.find_spec("tensorrt_rtx"), reason="tensorrt-rtx-cu13 has no wheel for this platform"
)
def test_a_plan_is_audited_and_built_without_a_gpu(measure, monkeypatch, tmp_path):
    model = tiny_model(tmp_path / "tiny.onnx")
    small = functools.partial(brats_trt.demo.make_phantom, shape=(48, 48, 31))
    monkeypatch.setattr(brats_trt.demo, "make_phantom", small)
    monkeypatch.setattr(measure, "demo_model", lambda: model)
    monkeypatch.setattr(measure, "flavour", lambda: load_flavour("tensorrt-rtx"))
    found = json.loads(json.dumps(measure.engine(measure.Machine(emulated=True), 1)))
    assert [case["case"] for case in found["audit"]["cases"]] == ["demo phantom, seed 0", "demo phantom, seed 1"]
    assert found["audit"]["overflows"] == []
    assert found["recipe"]["variants"]["scale"] == "quarter"
    assert found["nbytes"] > 0
    assert found["not run"] == "a plan runs on a GPU only"


@pytest.mark.slow
def test_the_demo_models_audit_is_part_of_the_check(tmp_path):
    command = [sys.executable, str(SCRIPTS / "gpu_measure.py"), "engine", "--runs", "1", "--emulated"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    if "skipped" in found:
        pytest.skip(found["skipped"])
    assert found["audit"]["overflows"] == []
    assert min(norm["margin"] for norm in found["audit"]["norms"]) > 2
    assert min(min(case["dice"].values()) for case in found["audit"]["cases"]) > 0.9995


def test_stages_are_measured_on_the_emulated_device(measure, monkeypatch):
    monkeypatch.setattr(measure.whole_case, "SIZE", (16, 16, 16))
    found = measure.stages(measure.Machine(emulated=True), 1)
    assert set(found["with regions"]) == {"prepare", "infer", "restore", "regions", "host"}
    assert found["upload"]["nbytes"] == 4 * 240 * 240 * 155 * 2
    assert found["budget"] is None


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("Tesla T4", "T4"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA H100 80GB HBM3", "H100 SXM"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("NVIDIA A100-PCIE-40GB", "A100 40 GB PCIe"),
        ("Orin", "Jetson AGX Orin 64 GB"),
    ],
)
def test_the_budget_of_a_device_is_found_by_the_drivers_name(measure, name, device):
    floors = measure.floors(name)
    assert floors["of"] == device
    assert 0 < floors["kernels_ms"] < floors["network_ms"]
    assert sum(floors["stages_ms"].values()) == pytest.approx(floors["kernels_ms"])


def test_a_device_without_a_budget_has_none(measure):
    assert measure.floors("NVIDIA RTX A6000") is None


def test_a_summary_has_the_median_and_the_extremes(measure):
    found = measure.summary([3.0, 1.0, 2.0, 9.0, 4.0])
    assert (found["median"], found["min"], found["max"]) == (3.0, 1.0, 9.0)
