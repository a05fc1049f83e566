"""The first case of a fresh process: what a user waits for who starts Python for one case.

The files of package, model and case are in the page cache, since the process before has read them. Parent and child
read one clock, Linux' monotonic one, so that the start of the interpreter counts too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from ..errors import EngineError
from .document import Job
from .measure import collect

# Options of the segmenter and the case in; the times of four moments and the peak resident set in MiB out.
_CHILD = """
from time import perf_counter
begun = perf_counter()
import brats_trt
imported = perf_counter()
import json, sys, warnings
warnings.simplefilter("ignore")
options, case = json.loads(sys.argv[1])
segmenter = brats_trt.Segmenter(options.pop("engine"), **options)
constructed = perf_counter()
segmenter.run(case)
done = perf_counter()
from brats_trt.bench.conditions import peak_rss_mib
import resource
peak = peak_rss_mib() or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([begun, imported, constructed, done, peak]))
"""


def measure_cold(options: Mapping[str, Any], case: Path, *, starts: int) -> tuple[Job, float]:
    """Time fresh processes from their start to the first label map.

    Parameters
    ----------
    options
        Of the segmenter, as JSON has them; paths are absolute.

    Returns
    -------
    The stages "interpreter", "import", "construct" and "first_run" with their total, and the greatest peak resident set
    in MiB.

    Raises
    ------
    EngineError
        If a process fails, with what it said last.
    """
    runs, peaks = [], []
    for _ in range(starts):
        started = perf_counter()
        begun, imported, constructed, done, peak = _start(options, case)
        peaks.append(peak)
        runs.append(
            {
                "interpreter": (begun - started) * 1e3,
                "import": (imported - begun) * 1e3,
                "construct": (constructed - imported) * 1e3,
                "first_run": (done - constructed) * 1e3,
                "total": (done - started) * 1e3,
            }
        )
    return collect("cold", runs), max(peaks)


def _start(options: Mapping[str, Any], case: Path) -> list[float]:
    arguments = json.dumps([dict(options), str(case)])
    with TemporaryDirectory() as empty:  # so that no module of the working folder is imported
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, arguments], capture_output=True, text=True, check=False, cwd=empty
        )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise EngineError(f"a fresh process failed where this one did not: {reason}; try `brats-trt doctor`")
    times: list[float] = json.loads(done.stdout.splitlines()[-1])
    return times
