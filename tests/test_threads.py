"""How the host stages share the machine: cores, threads, the interpreter's lock."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from tempfile import gettempdir

import numpy as np
import pytest
from models import tiny_model

from brats_trt import Segmenter, _host

LARGE = np.random.default_rng(0).integers(0, 100, (300, 300, 300)).astype(np.float64)


def gather_large():
    out = np.empty((1, 4, 128, 128, 128), np.float32)
    _host.gather(LARGE, ((0, 0, 0), (300, 300, 300)), out, 0, mean=1.0, variance=1.0, threads=1)


def scatter_large():
    softmax = np.full((1, 4, 64, 64, 64), 0.25, np.float32)
    _host.scatter(softmax, ((0, 0, 0), (300, 300, 300)), np.empty((300, 300, 300), np.uint8), values=(0, 1, 2, 4))


@pytest.mark.parametrize("stage", [lambda: _host.foreground(LARGE, threads=1), gather_large, scatter_large])
def test_other_python_threads_run_while_a_stage_works(stage):
    done = threading.Event()

    def work():
        stage()
        done.set()

    worker = threading.Thread(target=work)
    worker.start()
    turns = 0
    while not done.is_set():
        turns += 1
    worker.join()
    # A stage that kept the lock would let this thread run once before it and once after, for a few milliseconds each.
    assert turns > 1
    assert threading.active_count() == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity is Linux's")
def test_a_pinned_process_uses_its_own_cores_only():
    code = "import os; os.sched_setaffinity(0, {0}); from brats_trt import _host; print(_host.usable_cores())"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=gettempdir())
    assert answer.stdout.strip() == "1"
    assert _host.usable_cores() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("threads", [1, 2])
def test_the_network_gets_the_threads_and_the_precision_that_were_asked_for(tmp_path, threads):
    segmenter = Segmenter(tiny_model(tmp_path / "m.onnx"), threads=threads, precision="fp32")
    compiled = segmenter._backend._engine.compiled
    assert compiled.get_property("INFERENCE_NUM_THREADS") == threads
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"


def test_bf16_reaches_the_network(tmp_path):
    from brats_trt.backends.openvino import cpu_precisions

    if "bf16" not in cpu_precisions():
        pytest.skip("this processor has no BF16")
    compiled = Segmenter(tiny_model(tmp_path / "m.onnx"), precision="bf16")._backend._engine.compiled
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "bf16"
