"""Where the time goes as the work grows: number of cases, voxels of a case, threads.

python benchmarks/scaling.py                      the released network's size, random weights
python benchmarks/scaling.py MODEL.onnx --sizes 128 256

Prints two tables. The first is `run_many` over 1, 5 and 20 copies of the sample case, files to files, beside as many
bare inferences. The second is one phantom, made anew for each matrix size, files to files: medians of each stage. Runs
with different numbers of threads alternate. In `run_many` the threads that load and save come on top of those numbers.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

from released_model import model_or_released
from run_many import SAMPLE, Contest, copies, measure

from brats_trt import Segmenter
from brats_trt.demo import make_phantom, write_case

STAGES = ("load", "prepare", "infer", "restore", "regions", "save")
Segmenters = Mapping[int, Segmenter]


def print_cases(segmenters: Segmenters, numbers: Sequence[int], rounds: int, folder: Path) -> None:
    """A row for each number of cases and threads."""
    cases = copies(SAMPLE, folder, max(numbers))
    print("| cases | threads | s in all | ms a case | bare inferences, s | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    for number in numbers:
        found: dict[int, list[tuple[float, float]]] = {threads: [] for threads in segmenters}
        for _ in range(rounds):
            for threads, segmenter in segmenters.items():
                contest = Contest(segmenter, cases[:number], folder)
                found[threads].append((measure(contest.bare)[0], measure(contest.run_many)[0]))
        for threads, pairs in found.items():
            bare, many = (median(pair[k] for pair in pairs) for k in range(2))
            ratio = median(pair[1] / pair[0] for pair in pairs)
            print(f"| {number} | {threads} | {many:.2f} | {many / number * 1e3:.0f} | {bare:.2f} | {ratio:.3f} |")
    print(flush=True)


def stage_times(segmenter: Segmenter, case: Path, output: Path) -> dict[str, float]:
    """Milliseconds of each stage of one run, files to files."""
    result = segmenter.run(case)
    start = perf_counter()
    result.save(output, overwrite=True)
    return {**result.timings_ms, "save": (perf_counter() - start) * 1e3}


def print_sizes(segmenters: Segmenters, sizes: Sequence[int], rounds: int, folder: Path) -> None:
    """A row for each matrix size and number of threads."""
    print(f"| matrix | threads | {' | '.join(STAGES)} | in all, ms | beside the network |")
    print(f"{'| --- ' * (len(STAGES) + 4)}|")
    for size in sizes:
        case = write_case(make_phantom(0, (size, size, size)), folder, name=f"Phantom_{size}")
        found: dict[int, list[dict[str, float]]] = {threads: [] for threads in segmenters}
        for turn in range(rounds + 1):
            for threads, segmenter in segmenters.items():
                times = stage_times(segmenter, case, folder / "labels.nii.gz")
                if turn > 0:  # the first warms up memory and page cache
                    found[threads].append(times)
        for threads, runs in found.items():
            stages = {stage: median(run[stage] for run in runs) for stage in STAGES}
            total = median(sum(run[stage] for stage in STAGES) for run in runs)
            cells = " | ".join(f"{value:.1f}" for value in stages.values())
            print(f"| {size}^3 | {threads} | {cells} | {total:.0f} | {1 - stages['infer'] / total:.1%} |", flush=True)
        shutil.rmtree(case)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--cases", type=int, nargs="+", default=[1, 5, 20])
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 192, 256, 384, 512])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="bf16")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = model_or_released(arguments.model, folder)
        segmenters = {
            threads: Segmenter(model, precision=arguments.precision, threads=threads, keep_probabilities=False)
            for threads in arguments.threads
        }
        for segmenter in segmenters.values():
            segmenter.run(SAMPLE)
        print_cases(segmenters, arguments.cases, arguments.rounds, folder)
        print_sizes(segmenters, arguments.sizes, arguments.rounds, folder)


if __name__ == "__main__":
    main()
