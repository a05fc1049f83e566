"""The size of a case's page, and how long it takes to be written and to be opened in headless Chromium.

    python benchmarks/report_page.py [--runs 5]

The case is the demo's, 240x240x155. Chromium draws by software (SwiftShader) as in the tests, so a machine with a GPU
opens pages faster. Times to open run from the navigation: to the still picture and the tables; to the planes, when
their pixels have been read back.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import browser

from brats_trt import Segmenter
from brats_trt.demo import make_phantom, write_case
from brats_trt.measures import measure
from brats_trt.report import save_report

READ_BACK = """
const { gl } = viewer.nv;
viewer.nv.drawScene();
gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
const [navigation] = performance.getEntriesByType('navigation');
return [navigation.domContentLoadedEventEnd / 1e3, performance.now() / 1e3];
"""


def timed(runs: int, call) -> list[float]:
    times = []
    for _ in range(runs):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return times


def opened(runs: int, path: Path) -> list[list[float]]:
    """Seconds to the still picture and to the planes, in a new browser each time."""
    times = []
    for _ in range(runs):
        driver = browser.start()
        page = browser.Page(driver)
        page.open_case(path)
        times.append(page.run(READ_BACK))
        driver.quit()
    return times


def show(name: str, times: list[float]) -> None:
    print(f"{name}: median {statistics.median(times):.2f} s, {min(times):.2f} to {max(times):.2f} s, {len(times)} runs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        result = Segmenter(keep_volumes=True).run(write_case(make_phantom(0), folder))
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        show("measures", timed(runs, lambda: measure(result)))
        show("the page, with its measures", timed(runs, lambda: save_report(result, path, overwrite=True)))
        print(f"size: {path.stat().st_size / 1e6:.1f} MB")
        still, planes = zip(*opened(runs, path), strict=True)
        show("still picture and tables", list(still))
        show("planes", list(planes))


if __name__ == "__main__":
    main()
