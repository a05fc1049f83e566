"""Workers: what goes in comes out, and what goes wrong in one is an error of one case and of nothing else."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import worker_jobs

from brats_trt.serve.errors import CaseRefusedError, ServiceError, WorkerDiedError, WorkerHungError
from brats_trt.serve.worker import Worker

ARRAYS = {"t1": np.arange(24, dtype=np.int16).reshape(2, 3, 4), "t2": np.asfortranarray(np.eye(3))}
LIMITS = {"start": 60.0, "prepare": 30.0, "infer": 30.0, "restore": 30.0}
SHORT = {**LIMITS, "prepare": 0.5, "infer": 0.5, "restore": 0.5}


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.fixture(autouse=True)
def jobs_can_be_imported(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def nothing_left():
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def loaded(tmp_path):
    """The processes that loaded the job, a line each."""
    return tmp_path / "loaded"


@pytest.fixture
def make(loaded):
    made = []

    def worker(limits=LIMITS, job="negate"):
        made.append(Worker(f"worker_jobs:{job}", {"loaded": str(loaded)}, limits))
        return made[-1]

    yield worker
    for one in made:
        one.stop()


def test_a_case_goes_to_another_process_and_back(make, loaded):
    worker = make()
    for name in ("a", "b", "c"):
        answer = worker.run({"name": name}, ARRAYS)
        assert answer.content == {"name": name, "process": worker.process_id}
        assert worker.process_id != os.getpid()
        for key, array in ARRAYS.items():
            assert np.array_equal(answer.arrays[key], -array)
            assert answer.arrays[key].dtype == array.dtype
    assert loaded.read_text() == f"{worker.process_id}\n", "loaded once"


@pytest.mark.parametrize("stage", worker_jobs.STAGES)
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("kill", "ended by SIGKILL"),
        ("crash", "ended by SIGABRT"),
        ("exit", "ended with the exit code 7"),
        ("memory", "ended with the exit code 1"),
    ],
)
def test_a_worker_that_dies_costs_its_case_alone(make, stage, fault, said):
    worker = make()
    before = worker.run({"name": "before"}, ARRAYS).content["process"]
    with pytest.raises(WorkerDiedError, match=f"the worker {said} in '{stage}'"):
        worker.run({"name": "lost", "in": stage, "fault": fault}, ARRAYS)
    assert worker.process_id is None
    assert worker.run({"name": "after"}, ARRAYS).content["process"] != before


@pytest.mark.parametrize("stage", worker_jobs.STAGES)
@pytest.mark.parametrize("fault", ["hang", "deaf"])
def test_a_worker_that_hangs_is_killed_and_costs_its_case_alone(make, stage, fault):
    worker = make(SHORT)
    process = worker.run({"name": "before"}, ARRAYS).content["process"]
    with pytest.raises(WorkerHungError, match=f"was silent for 0.5 s in '{stage}', and was killed"):
        worker.run({"name": "lost", "in": stage, "fault": fault}, ARRAYS)
    assert not is_alive(process)
    assert worker.run({"name": "after"}, ARRAYS).content["name"] == "after"


def test_a_case_that_is_refused_leaves_the_worker_where_it_is(make):
    worker = make()
    worker.start()
    process = worker.process_id
    with pytest.raises(CaseRefusedError, match="the case 7 has no T1; give four modalities"):
        worker.run({"name": "x", "in": "prepare", "fault": "refuse"}, ARRAYS)
    assert worker.run({"name": "after"}, ARRAYS).content["process"] == process


def test_a_worker_that_was_killed_between_two_cases_is_started_again_after_one_error(make):
    worker = make()
    worker.start()
    os.kill(worker.process_id, signal.SIGKILL)
    with pytest.raises(WorkerDiedError, match="ended by SIGKILL"):
        worker.run({"name": "lost"}, ARRAYS)
    assert worker.run({"name": "after"}, ARRAYS).content["name"] == "after"


def test_a_job_that_does_not_start_is_said(make):
    worker = make(job="refuse")
    with pytest.raises(ServiceError, match="the engine's answer to the golden crop has 7 values that are not finite"):
        worker.start()
    assert worker.process_id is None
    slow = make({**LIMITS, "start": 1.0}, "hang")
    with pytest.raises(WorkerHungError, match="was silent for 1 s in 'start'"):
        slow.start()
    absent = make(job="absent")
    with pytest.raises(WorkerDiedError, match="ended with the exit code 1 in 'start'"):
        absent.start()


def test_a_process_that_cannot_be_started_is_said_and_leaves_nothing(make, monkeypatch):
    def none_left(*_, **__):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    worker = make()
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", none_left)
        with pytest.raises(ServiceError, match=r"no process can be started \(Resource temporarily unavailable\)"):
            worker.start()
    assert worker.process_id is None
    assert worker.run({"name": "after"}, ARRAYS).content["name"] == "after"


def test_a_worker_that_is_stopped_ends_by_itself_and_can_be_started_again(make, loaded):
    worker = make()
    worker.start()
    process = worker.process_id
    worker.stop()
    worker.stop()
    assert not is_alive(process)
    worker.start()
    assert len(loaded.read_text().splitlines()) == 2


SERVICE = """
import sys, time
from brats_trt.serve.worker import Worker
worker = Worker("worker_jobs:negate", {"loaded": sys.argv[1]}, {"start": 60.0})
worker.start()
print(worker.process_id, flush=True)
time.sleep(600)
"""


def test_a_worker_does_not_outlive_a_service_that_is_killed(loaded, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", SERVICE, loaded], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as service:
        process = int(service.stdout.readline())
        assert is_alive(process)
        service.kill()
    for _ in range(600):
        if not is_alive(process):
            break
        time.sleep(0.05)
    assert not is_alive(process)


@pytest.mark.parametrize("limits", [{}, {"infer": 1.0}, {"start": 0.0}, {"start": 1.0, "infer": -1.0}], ids=str)
def test_limits_that_cannot_be_are_refused(limits):
    with pytest.raises(ValueError, match="expected seconds above 0 for each stage, 'start' among them"):
        Worker("worker_jobs:negate", {}, limits)
