"""What a run's record costs: hashing the input, on and off in turn, and making the record.

python benchmarks/record.py tests/data/sample_case/Phantom_500
"""

from __future__ import annotations

import argparse
import gzip
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from brats_trt import Segmenter
from brats_trt.case import load_case
from brats_trt.case_folder import find_volumes


def milliseconds(job: Callable[[], object]) -> float:
    start = perf_counter()
    job()
    return (perf_counter() - start) * 1e3


def compare(name: str, without: Callable[[], object], with_hashes: Callable[[], object], runs: int) -> None:
    """The median of each, and of their differences; which goes first alternates."""
    pairs = []
    for k in range(runs):
        jobs = (without, with_hashes) if k % 2 else (with_hashes, without)
        first, second = (milliseconds(job) for job in jobs)
        pairs.append((first, second) if k % 2 else (second, first))
    off, on = (statistics.median(column) for column in zip(*pairs, strict=True))
    added = statistics.median(b - a for a, b in pairs)
    print(f"{name}: {off:.1f} ms without hashes, {on:.1f} ms with, {added:+.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", type=Path)
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()

    case, runs = arguments.case, arguments.runs
    arrays = {modality: volume.on_host for modality, volume in load_case(case).volumes.items()}
    with tempfile.TemporaryDirectory() as name:
        plain = Path(name)
        for path in find_volumes(case).values():
            (plain / path.name.removesuffix(".gz")).write_bytes(gzip.decompress(path.read_bytes()))
        for ending, folder in ((".nii.gz", case), (".nii", plain)):
            compare(f"load {ending}", lambda f=folder: load_case(f), lambda f=folder: load_case(f, digest=True), runs)
    hashing, bare = Segmenter(hash_inputs="all"), Segmenter()
    compare("run on arrays", lambda: bare.run(arrays), lambda: hashing.run(arrays), runs)
    results = (hashing.run(arrays) for _ in range(runs))
    made = statistics.median(milliseconds(lambda result=result: result.record) for result in results)
    print(f"make the record, with the labels' hash: {made:.1f} ms")


if __name__ == "__main__":
    main()
