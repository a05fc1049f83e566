"""Loading a case: `brats_trt` against four `nibabel.load` in turn, alternating in one run.

python benchmarks/load.py tests/data/sample_case/Phantom_500
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import nibabel
import numpy as np

from brats_trt.case import load_case


def load_in_turn(folder: Path) -> None:
    for modality in ("t1", "t2", "t1ce", "flair"):
        np.asanyarray(nibabel.load(folder / f"{folder.name}_{modality}.nii.gz").dataobj)


def seconds(job: Callable[[], object]) -> float:
    start = perf_counter()
    job()
    return perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", type=Path)
    parser.add_argument("--runs", type=int, default=9)
    arguments = parser.parse_args()

    pairs = [
        (seconds(lambda: load_in_turn(arguments.case)), seconds(lambda: load_case(arguments.case)))
        for _ in range(arguments.runs)
    ]
    turn, fast = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"median ms: nibabel in turn {turn * 1e3:.1f}, brats_trt {fast * 1e3:.1f}, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
