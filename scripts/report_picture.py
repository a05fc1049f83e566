"""Make `docs/report.png`: the page of the demo's case in headless Chromium, with all views.

python scripts/report_picture.py
"""

from __future__ import annotations

import base64
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import browser

from brats_trt import Segmenter
from brats_trt.demo import make_phantom, write_case
from brats_trt.report import save_report

TARGET = Path(__file__).resolve().parents[1] / "docs" / "report.png"
WIDTH, HEIGHT = 1200, 1010
SIZE = (900, 757)


def main() -> None:
    driver = browser.start()
    page = browser.Page(driver)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        save_report(Segmenter(keep_volumes=True).run(write_case(make_phantom(5), folder, "Phantom_5")), path)
        page.open_case(path, size=(WIDTH, HEIGHT))
        page.click("[name=view][value=all]")
        page.until("return viewer.lit && viewer.nv.getCustomLayout().length === 4")
        page.pixels()
        page.run("window.scrollTo(0, 0); document.documentElement.style.overflow = 'hidden'")
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT, "scale": 1}
        taken = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "clip": clip})
    driver.quit()
    picture = Image.open(BytesIO(base64.b64decode(taken["data"]))).convert("RGB").resize(SIZE, Image.Resampling.LANCZOS)
    picture.save(TARGET, optimize=True)
    print(f"{TARGET}: {TARGET.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
