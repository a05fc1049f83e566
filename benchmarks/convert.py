"""The time and the memory that converting a checkpoint of the released size takes, in a process of its own each time.

    python benchmarks/convert.py [--runs 3] [--factor 8]

The checkpoint has the released network's nodes, widths and number of parameters, and random weights.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import released_size

CHILD = """
import json, resource, sys
from time import perf_counter
start = perf_counter()
from brats_trt.export import convert
imported = perf_counter()
report = convert(*sys.argv[1:4], precision=sys.argv[4], overwrite=True)
done = perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # of KiB, as Linux counts
print(json.dumps([imported - start, done - imported, peak, report.parameters]))
"""


def convert_once(symbol: Path, weights: Path, output: Path, precision: str) -> list[float]:
    """Seconds of the import and of the conversion, the peak resident set in MiB, the parameters."""
    command = [sys.executable, "-c", CHILD, *map(os.fspath, (symbol, weights, output)), precision]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=output.parent)
    return [float(value) for value in json.loads(done.stdout)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--factor", type=int, default=released_size.RELEASED_FACTOR)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        symbol, weights, parameters = released_size.write_checkpoint(folder, arguments.factor)
        print(f"{parameters:,} parameters, {weights.stat().st_size / 1e6:.1f} MB; medians of {arguments.runs}")
        print(f"{'':<6}{'import s':>10}{'convert s':>11}{'peak MiB':>10}{'output MB':>11}")
        for precision in ("fp32", "fp16"):
            output = folder / f"{precision}.onnx"
            laps = [convert_once(symbol, weights, output, precision) for _ in range(arguments.runs)]
            imported, converted, peak, _ = (statistics.median(values) for values in zip(*laps, strict=True))
            size = output.stat().st_size / 1e6
            print(f"{precision:<6}{imported:>10.2f}{converted:>11.2f}{peak:>10.0f}{size:>11.1f}")


if __name__ == "__main__":
    main()
