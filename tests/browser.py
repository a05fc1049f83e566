"""Headless Chromium for the pages' tests: Debian's `chromium` and `chromium-driver`, steered by Selenium."""

from __future__ import annotations

import io
import os
import shutil
import time

import numpy as np
import pytest
from PIL import Image

REQUIRED = os.environ.get("BRATS_TRT_REQUIRE_CHROMIUM") == "1"
LAPTOP, PHONE = (1280, 800), (360, 780)

# WebGL 2 by software, and nothing that Chromium does on its own account.
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def give_up(reason):
    """Skip, or fail where a browser is required."""
    (pytest.fail if REQUIRED else pytest.skip)(reason)


def start():
    """A WebDriver, or None with what is missing."""
    try:
        from selenium import webdriver
    except ImportError:
        give_up("no Selenium: install brats_trt[test]")
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        give_up("no Chromium with its driver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


class Page:
    """A page that is open in the browser."""

    def __init__(self, driver):
        self.driver = driver

    def emulate(self, *, size=LAPTOP, theme="light", touch=False):
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": touch}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def open(self, path, **emulated):
        self.emulate(**emulated)
        self.driver.get_log("browser")
        self.driver.get(path.as_uri())

    def open_case(self, path, **emulated):
        self.open(path, **emulated)
        self.until("return document.body.matches('.ready, .failed')")

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def until(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while not self.run(condition):
            assert time.monotonic() < end, f"{condition} did not come true; console: {self.console()}"
            time.sleep(0.02)

    def console(self):
        return self.driver.get_log("browser")

    def element(self, selector):
        from selenium.webdriver.common.by import By

        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent.trim()", selector)

    def click(self, selector):
        self.run("document.querySelector(arguments[0]).click()", selector)

    def slide(self, selector, value):
        self.run(
            "const slider = document.querySelector(arguments[0]);"
            "slider.value = arguments[1]; slider.dispatchEvent(new Event('input'))",
            selector,
            value,
        )

    def press(self, *keys):
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def pixels(self, selector="#screen"):
        """(rows, columns, 3) of an element as it is shown, scrolled into view."""
        self.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)
        self.run("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return np.asarray(Image.open(io.BytesIO(self.element(selector).screenshot_as_png)).convert("RGB")).astype(int)

    def place(self, view="axial"):
        """Row and column of the crosshair's voxel in the plane of a view, in `#screen`."""
        number = {"axial": 0, "coronal": 1, "sagittal": 2}[view]
        column, row = self.run(
            "const { nv } = viewer; const { pos } = nv.frac2canvasPosWithTile(nv.scene.crosshairPos, arguments[0]);"
            "return [...pos].map((length) => length * nv.canvas.clientWidth / nv.canvas.width)",
            number,
        )
        return round(row), round(column)
