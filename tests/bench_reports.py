"""Measurements of nothing, for what is made of measurements."""

from __future__ import annotations

import numpy as np

from brats_trt.bench import document
from brats_trt.bench.document import Job, Report, Stage

ARRAYS = {"load": 1, "prepare": 30, "infer": 300, "restore": 16, "regions": 1}
FILES = ARRAYS | {"load": 40, "save": 12}
COLD = {"interpreter": 20, "import": 150, "construct": 140, "first_run": 500}


def job(name, medians, *, runs=20, slower=1.0, seed=0):
    """Stages around their medians, and their sum."""
    generator = np.random.default_rng(seed)
    samples = {stage: slower * middle * generator.lognormal(0, 0.05, runs) for stage, middle in medians.items()}
    samples["total"] = sum(samples.values())
    return Job(name, tuple(Stage.of(stage, tuple(map(float, times))) for stage, times in samples.items()))


def conditions(**changed):
    return document.Conditions(
        **{
            "case": document.MeasuredCase("phantom", "Phantom_0", (240, 240, 155), "int16"),
            "engine": document.Engine("demo.onnx", "0123456789abcdef" * 4, "cpu", "native", "bf16", False, 2),
            "cpu": document.Cpu("A processor", 2, (2596.0, 2600.5), None),
            "gpu": None,
            "host_module": document.HostModule("avx512", "GNU 12.2.0", "-O3 -DNDEBUG"),
            "versions": document.Versions("0.1.0", "3.11.7", "Linux 6.1", "2.0.0", "2025.2", None, None, None),
            "load_average": 0.25,
        }
        | changed
    )


def report(*, runs=20, slower=1.0, seed=0, deadline=None, **changed):
    return Report(
        created="2020-01-02T03:04:05Z",
        warmup=3,
        conditions=conditions(**changed),
        jobs=(
            job("arrays", ARRAYS, runs=runs, slower=slower, seed=seed),
            job("files", FILES, runs=runs, slower=slower, seed=seed + 1),
            job("cold", COLD, runs=3, slower=slower, seed=seed + 2),
        ),
        throughput=(document.Throughput(1, 2, 20, 7.5, 20 / 7.5), document.Throughput(2, 1, 20, 6.5, 20 / 6.5)),
        memory=document.Memory(480.5, 370.25, None),
        deadline=None if deadline is None else document.Deadline(deadline, 0.95, 0.5),
    )
