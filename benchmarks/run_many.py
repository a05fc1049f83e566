"""Many cases, files to files, against as many bare inferences of the same engine.

python benchmarks/run_many.py                 the released network's size, random weights
python benchmarks/run_many.py MODEL.onnx

Copies of the sample case are read, segmented and written by `Segmenter.run_many`, and by `run` and `save` in turn. Each
round has all three, one after the other; ratios are taken within a round, and their median is printed. A ratio of
processor times says what is computed beside the network; one of times, what of that still is waited for.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from released_model import model_or_released

from brats_trt import Segmentation, Segmenter

SAMPLE = Path(__file__).parents[1] / "tests" / "data" / "sample_case" / "Phantom_500"

Measured = tuple[float, float]  # seconds that passed, and of the processor


def measure(job: Callable[[], None]) -> Measured:
    start, start_process = perf_counter(), process_time()
    job()
    return perf_counter() - start, process_time() - start_process


def copies(case: Path, folder: Path, number: int) -> list[Path]:
    """Case folders of other names with the same files."""
    found = []
    for index in range(number):
        found.append(folder / f"Copy_{index:03}")
        found[-1].mkdir()
        for file in case.glob("*.nii.gz"):
            shutil.copy(file, found[-1] / file.name.replace(case.name, found[-1].name))
    return found


class Contest:
    """Three ways to spend a machine on the same cases, with one engine."""

    def __init__(self, segmenter: Segmenter, cases: list[Path], output: Path) -> None:
        self._segmenter = segmenter
        self._cases = cases
        self._output = output
        self._engine = segmenter._backend._engine
        self._crop = segmenter._backend._crop[:1]  # the last case's
        self._softmax = np.empty_like(self._crop)

    def bare(self) -> None:
        """The network alone, as often as there are cases."""
        for _ in self._cases:
            self._engine.infer(self._crop, self._softmax)

    def in_turn(self) -> None:
        """Read, segment and write one case after the other."""
        for case in self._cases:
            self._save(self._segmenter.run(case))

    def run_many(self) -> None:
        """The same with `run_many`."""
        for outcome in self._segmenter.run_many(self._cases, save=self._save):
            if outcome.error is not None:
                raise outcome.error

    def _save(self, result: Segmentation) -> None:
        result.save(self._output / f"{result.name}.nii.gz", overwrite=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--case", type=Path, default=SAMPLE)
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = model_or_released(arguments.model, folder)
        options = {name: getattr(arguments, name) for name in ("precision", "runtime", "threads")}
        segmenter = Segmenter(model, keep_probabilities=False, **options)
        segmenter.run(arguments.case)
        contest = Contest(segmenter, copies(arguments.case, folder, arguments.cases), folder)
        ways = {"bare inferences": contest.bare, "run and save": contest.in_turn, "run_many": contest.run_many}
        rounds = [{way: measure(job) for way, job in ways.items()} for _ in range(arguments.rounds)]

    print(
        f"{arguments.cases} cases, {segmenter.precision}, median of {arguments.rounds} rounds (range of the ratios)\n"
    )
    print("| | ms a case | ratio | range | processor ms a case | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    for way in ways:
        passed, busy = (statistics.median(r[way][k] for r in rounds) / arguments.cases * 1e3 for k in range(2))
        ratios, busy_ratios = ([r[way][k] / r["bare inferences"][k] for r in rounds] for k in range(2))
        spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
        print(
            f"| {way} | {passed:.0f} | {statistics.median(ratios):.3f} | {spread} | {busy:.0f} "
            f"| {statistics.median(busy_ratios):.3f} |"
        )


if __name__ == "__main__":
    main()
