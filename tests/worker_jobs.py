"""Jobs for workers in tests; each case says what is to go wrong, and in which stage."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path

import numpy as np

from brats_trt import CaseError, EngineError

STAGES = ("prepare", "infer", "restore")


def negate(options):
    """Turns the arrays' signs, in three stages."""
    with Path(options["loaded"]).open("a") as loaded:
        loaded.write(f"{os.getpid()}\n")

    def work(content, arrays, enter):
        for stage in STAGES:
            enter(stage)
            if content.get("in") == stage:
                _go_wrong(content["fault"])
        return {"name": content["name"], "process": os.getpid()}, {name: -array for name, array in arrays.items()}

    return work


def refuse(options):
    raise EngineError("x.plan: the engine's answer to the golden crop has 7 values that are not finite")


def hang(options):
    time.sleep(600)


def _go_wrong(fault):
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "hang":
        time.sleep(600)
    if fault == "deaf":  # a hang that no signal but SIGKILL ends
        signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.valid_signals()))
        time.sleep(600)
    if fault == "memory":
        resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
        np.ones(2**31)
    if fault == "crash":
        os.abort()
    if fault == "exit":
        os._exit(7)
    if fault == "refuse":
        raise CaseError("the case 7 has no T1; give four modalities")
