"""How long the whole sample case takes on the emulated device, and what its kernels move.

    python benchmarks/emulator.py [--traffic docs/kernel_traffic.json]

Compiled kernels come from the emulator's cache: the first run, which fills it, is not counted. Times go from the four
files to the label map, the network's stand-in among them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from whole_case import as_json, run_whole_case, traffic

SETTINGS = {
    "checked, every block counted": {"mode": "checked", "count_every": 1},
    "checked, one block in 16 counted": {"mode": "checked", "count_every": 16},
    "fast": {"mode": "fast"},
}


def seconds(settings: dict) -> float:
    start = perf_counter()
    run_whole_case(**settings)
    return perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--traffic", type=Path, help="write what the kernels moved here, and measure nothing")
    arguments = parser.parse_args()

    if arguments.traffic:
        arguments.traffic.write_text(as_json(traffic(run_whole_case())), encoding="utf-8")
        return
    for name, settings in SETTINGS.items():
        seconds(settings)
        laps = [seconds(settings) for _ in range(arguments.runs)]
        print(f"{name:<34} {statistics.median(laps):5.1f} s ({min(laps):.1f} to {max(laps):.1f})")


if __name__ == "__main__":
    main()
