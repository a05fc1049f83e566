"""Memory of the process over many runs: whether it stays what it is, and how much that is.

python benchmarks/memory.py --runs 200                    the embedded demo model
python benchmarks/memory.py MODEL.onnx --runs 200 --many  cases by `run_many`, files to files
python benchmarks/memory.py --released --plot memory.png  the released network's size, random weights

Prints the resident memory at each step and writes a plot. Growth is the median of the last quarter of the runs less
that of the second quarter. Linux: read from /proc.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

SAMPLE = Path(__file__).parents[1] / "tests" / "data" / "sample_case" / "Phantom_500"


def memory_mib(field: str = "VmRSS") -> float:
    """Of this process: resident now (VmRSS) or at its peak (VmHWM)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"/proc/self/status has no {field}")


class Steps:
    """Resident memory and its peak, by name of the step before."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, float, float]] = []

    def take(self, name: str) -> None:
        """Note what is resident now."""
        self.taken.append((name, memory_mib(), memory_mib("VmHWM")))


def released_model(folder: Path) -> Path:
    """In a process of its own: converting would be this one's peak."""
    import multiprocessing

    path = folder / "released.onnx"
    worker = multiprocessing.get_context("spawn").Process(target=_convert_released, args=(folder, path))
    worker.start()
    worker.join()
    if worker.exitcode != 0:
        raise RuntimeError("the model could not be made")
    return path


def _convert_released(folder: Path, path: Path) -> None:
    import released_size

    from brats_trt.export import convert

    convert(*released_size.write_checkpoint(folder)[:2], path)


def run_cases(segmenter: object, case: Path, runs: int, output: Path | None) -> Iterator[None]:
    """Segment the case so many times, one after the other or by `run_many`."""
    if output is None:
        for _ in range(runs):
            segmenter.run(case)
            yield
        return
    target = output / "labels.nii.gz"
    for outcome in segmenter.run_many([case] * runs, save=lambda result: result.save(target, overwrite=True)):
        if outcome.error is not None:
            raise outcome.error
        del outcome
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--released", action="store_true", help="make a model of the released size")
    parser.add_argument("--case", type=Path, default=SAMPLE)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--tta", action="store_true")
    parser.add_argument("--many", action="store_true", help="by run_many, and write the label maps")
    parser.add_argument("--plot", type=Path, metavar="PNG")
    arguments = parser.parse_args()

    steps = Steps()
    steps.take("start")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = released_model(folder) if arguments.released else arguments.model
        from brats_trt import Segmenter

        steps.take("brats_trt imported")
        segmenter = Segmenter(model, precision=arguments.precision, threads=arguments.threads, tta=arguments.tta)
        steps.take("segmenter made")
        series = []
        marks = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, arguments.runs}
        output = folder if arguments.many else None
        for number, _ in enumerate(run_cases(segmenter, arguments.case, arguments.runs, output), start=1):
            series.append(memory_mib())
            if number in marks:
                steps.take(f"run {number}")

    print(f"{arguments.runs} runs, {segmenter.precision}, {'run_many' if arguments.many else 'run'}\n")
    print("| after | resident MiB | peak so far MiB |")
    print("| --- | --- | --- |")
    for step, resident, peak in steps.taken:
        print(f"| {step} | {resident:.0f} | {peak:.0f} |")
    if (quarter := len(series) // 4) > 0:
        before, after = median(series[quarter : 2 * quarter]), median(series[-quarter:])
        print(f"\ngrowth from the second to the last quarter: {after - before:+.1f} MiB ({before:.0f} to {after:.0f})")
    if arguments.plot:
        import line_plot  # whose imports would count as the start's

        title = f"Resident memory over {arguments.runs} runs ({segmenter.precision})"
        picture = line_plot.draw(series, title=title, across="run", up="MiB", limit=(3e9 / 1024**2, "3 GB"))
        picture.save(arguments.plot)


if __name__ == "__main__":
    main()
