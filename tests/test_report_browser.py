"""The pages in a browser: what is drawn, what the controls do, both themes, a laptop and a phone, the keyboard."""

from __future__ import annotations

from dataclasses import replace

import browser
import numpy as np
import pytest
from report_cases import AFFINE, GREYS, report_case

from brats_trt.errors import EngineError
from brats_trt.pictures.palette import ENHANCING, NECROTIC, OEDEMA
from brats_trt.report import load_viewer, save_cohort, save_report

HOSTILE = "</script><img src=x onerror=\"document.title='run'\">\"'&"
LONG = "Patient_with_a_name_that_is_one_unbroken_word_of_more_than_eighty_characters_0123456789"
TILT = np.array([[0.94, -0.3, 0.1, 0], [0.3, 0.94, 0.05, 0], [-0.1, 0.0, 0.99, 0], [0, 0, 0, 1]])
# How a case may be stored: its axes' order, their directions, and the affine.
STORED = {
    "as RAS": {},
    "as LPS": {"signs": (-1, -1, 1)},
    "sagittal": {"order": (2, 0, 1), "signs": (1, -1, -1)},
    "oblique": {"affine": AFFINE @ TILT},
}


@pytest.fixture(scope="module")
def driver():
    try:
        load_viewer()
    except EngineError as missing:
        browser.give_up(str(missing))
    opened = browser.start()
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def case(driver, folder):
    """A case's page, opened once for the tests that leave it as it was."""
    save_report(report_case(), folder / "P1_report.html", record={"schema": "x", "name": HOSTILE})
    page = browser.Page(driver)
    page.path = folder / "P1_report.html"
    page.open_case(page.path)
    return page


@pytest.fixture
def page(case):
    """The case's page with the controls at rest, on a laptop."""
    case.emulate()
    if not case.run("return typeof viewer === 'object' && document.title.startsWith('P1:')"):
        case.open_case(case.path)
    case.click("[name=modality][value=t1ce]")
    case.click("[name=view][value=planes]")
    for box in range(1, 4):
        case.run(
            "const box = document.querySelector(`[name=class][value='${arguments[0]}']`); box.checked || box.click()",
            box,
        )
    case.slide("#opacity", 100)
    case.click("#centre")
    return case


@pytest.fixture
def fresh(driver, folder):
    """Any other page."""
    return browser.Page(driver)


def near(found, colour, tolerance=12):
    return np.abs(np.asarray(found) - colour).max(axis=-1) <= tolerance


def is_grey(pixel):
    return pixel.max() - pixel.min() <= 6


def test_the_page_opens_without_a_word_on_the_console_and_loads_nothing(case):
    assert case.console() == []
    assert case.run("return document.body.className") == "ready"
    loaded = case.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [name for name in loaded if not name.startswith(("data:", "blob:"))] == []


def test_the_classes_are_drawn_in_their_colours_at_the_tumour(page):
    pixels = page.pixels()
    row, column = page.place()
    assert near(pixels[row, column], NECROTIC), "the crosshair leaves its voxel free"
    for colour in (NECROTIC, ENHANCING, OEDEMA):
        assert near(pixels, colour).sum() > 50


def test_the_crosshair_begins_at_the_tumours_centre(page):
    assert "Necrotic core" in page.text("#position")
    x, y, z = AFFINE[:3, :3] @ (14, 30, 24) + AFFINE[:3, 3]
    assert page.text("#position").startswith(f"Crosshair: x {x:.1f}, y {y:.1f}, z {z:.1f} mm".replace("-", "\u2212"))


def test_opacity_mixes_colour_and_grey(page):
    shown = []
    for share in (0, 50, 100):
        page.slide("#opacity", share)
        shown.append(page.pixels()[page.place()])
    assert is_grey(shown[0])
    assert not is_grey(shown[1])
    assert shown[1] == pytest.approx((shown[0] + shown[2]) / 2, abs=4)
    assert page.text("#opacity-value") == "100 %"


def test_each_modality_shows_its_own_grey_at_the_tumour(page):
    page.slide("#opacity", 0)
    greys = {}
    for modality in GREYS:
        page.click(f"[name=modality][value={modality}]")
        page.until(f"return viewer.nv.volumes[0].name === '{modality}.nii'")
        pixel = page.pixels()[page.place()]
        assert is_grey(pixel)
        greys[modality] = int(pixel[0])
        value = float(page.text("#position").split("about ")[1].split()[0])
        assert value == pytest.approx(GREYS[modality], abs=3), "the input's units, in 8 bits"
    assert sorted(greys, key=greys.get) == sorted(GREYS, key=GREYS.get)
    assert min(np.diff(sorted(greys.values()))) > 20


def test_a_class_that_is_unticked_goes_and_the_others_stay(page):
    page.click("[name=class][value='1']")
    pixels = page.pixels()
    assert is_grey(pixels[page.place()])
    assert near(pixels, NECROTIC).sum() == 0
    assert near(pixels, OEDEMA).sum() > 50


def test_the_3d_view_shows_the_tumour_and_turns(page):
    page.emulate(size=(420, 500))  # software draws it slowly
    page.click("[name=view][value=volume]")
    page.until("return viewer.lit && viewer.nv.customLayout.length === 1")
    before = page.pixels()
    blue = before[..., 2] > before[..., 0] + 30
    assert blue.sum() > 100
    assert (before.max(axis=-1) > 20).sum() > 2 * blue.sum(), "the head around it"
    page.element("#canvas").click()
    page.press("\ue014", "\ue014", "\ue014")  # arrow to the right
    assert (np.abs(page.pixels() - before).max(axis=-1) > 30).sum() > 100
    assert page.run("return document.getElementById('scale').hidden")


@pytest.mark.parametrize("stored", STORED)
def test_the_patients_left_is_on_the_right_however_the_case_is_stored(fresh, folder, stored):
    path = folder / f"{stored}.html"
    save_report(report_case(centre=(14, 34, 28), **STORED[stored]), path)  # left, in front, above
    fresh.open_case(path)
    fresh.slide("#opacity", 100)
    sides = {}
    for view in ("axial", "coronal", "sagittal"):
        fresh.click(f"[name=view][value={view}]")
        pixels = fresh.pixels()
        rows, columns = np.nonzero(near(pixels, OEDEMA) | near(pixels, NECROTIC) | near(pixels, ENHANCING))
        head = np.nonzero(pixels.max(axis=-1) > 60)
        sides[view] = (columns.mean() - head[1].mean(), rows.mean() - head[0].mean())
    assert sides["axial"][0] > 20, "left of the patient, right of the picture"
    assert sides["axial"][1] < -5, "in front: above"
    assert sides["coronal"][0] > 20
    assert sides["coronal"][1] < -5, "to the top: above"
    assert sides["sagittal"][0] < -5, "in front: left"
    assert sides["sagittal"][1] < -5
    assert fresh.console() == []


def test_the_scale_bar_is_as_long_as_it_says(page):
    page.click("[name=view][value=axial]")
    coloured = page.pixels()
    page.slide("#opacity", 0)
    grey = page.pixels()
    tumour = np.abs(coloured - grey).sum(axis=-1) > np.abs(np.array(OEDEMA) - grey).sum(axis=-1) / 2
    width = page.run("return document.getElementById('scale').getBoundingClientRect().width")
    columns = np.flatnonzero(tumour.any(axis=0))
    length = (columns[-1] - columns[0] + 1) / width * 50
    assert length == pytest.approx(2 * 17, abs=1.5), "17 voxels of 2 mm"
    assert page.text("#scale") == "5 cm"


def test_sliders_keys_and_the_button_move_the_crosshair(page):
    def voxel():
        return page.run("return viewer.voxel")

    start = voxel()
    page.slide("#axial", start[2] + 5)
    assert voxel() == [start[0], start[1], start[2] + 5]
    page.element("#canvas").click()
    clicked = voxel()
    page.press("\ue012", "\ue013", "\ue013", "\ue00f")  # arrows to the left, up, up, page down
    assert voxel() == [clicked[0] + 1, clicked[1] + 2, clicked[2] - 1]
    assert page.element("#sagittal").get_attribute("value") == str(clicked[0] + 1)
    assert page.element("#sagittal").get_attribute("aria-valuetext").startswith("x ")
    page.click("#centre")
    assert voxel() == start


def test_everything_is_reached_by_tab_and_shows_where_the_focus_is(page):
    page.run("document.querySelector('.skip').focus()")
    reached = []
    for _ in range(40):
        page.press("\ue004")
        active = page.run(
            "const e = document.activeElement; const ring = e.closest('.choice label') ?? e;"
            "return [e.id || e.name || e.tagName, getComputedStyle(ring).outlineStyle]"
        )
        if active[0] in ("BODY", "HTML"):
            break
        assert active[1] != "none", active
        reached.append(active[0])
    for expected in (
        "modality",
        "view",
        "opacity",
        "class",
        "canvas",
        "axial",
        "coronal",
        "sagittal",
        "centre",
        "SUMMARY",
    ):
        assert expected in reached


def test_every_control_has_a_name(page):
    unnamed = page.run(
        "return [...document.querySelectorAll('input, select, button, img, canvas, summary')].filter((e) =>"
        "!(e.labels?.length && e.labels[0].textContent.trim()) && !e.textContent.trim() && !e.alt && !e.ariaLabel)"
        ".map((e) => e.outerHTML)"
    )
    assert unnamed == []
    assert page.run("return document.documentElement.lang") == "en"
    assert page.run("return [...document.querySelectorAll('h1, h2')].map((e) => e.tagName)")[0] == "H1"


CONTRAST = """
const light = (colour) => {
  const parts = colour.match(/[\\d.]+/g).map(Number);
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const [r, g, b] = parts.slice(0, 3).map((v) => linear(v / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (e) => {
  for (; e; e = e.parentElement) {
    const colour = getComputedStyle(e).backgroundColor;
    if (!/, 0\\)$|transparent/.test(colour)) return colour;
  }
  return 'rgb(255, 255, 255)';
};
return [...document.querySelectorAll('h1, h2, p, td, th, dt, dd, label, button, summary, caption, legend, li, a')]
  .filter((e) => e.textContent.trim() && e.offsetParent && !e.closest('#screen'))
  .map((e) => [e.tagName + ' ' + e.textContent.trim().slice(0, 20), light(getComputedStyle(e).color), light(ground(e))])
  .map(([name, a, b]) => [name, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_themes_are_legible(page, theme):
    page.emulate(theme=theme)
    page.until("return document.getAnimations().length === 0")
    red, green, blue = page.pixels("header")[0, 0]
    assert (min(red, green, blue) > 200) if theme == "light" else (max(red, green, blue) < 40)
    ratios = page.run(CONTRAST)
    assert len(ratios) > 40
    assert [entry for entry in ratios if entry[1] < 4.5] == []


def test_a_phone_needs_no_scrolling_sideways_and_shows_all_views(page):
    page.emulate(size=browser.PHONE, touch=True)
    page.until("return viewer.nv.canvas.clientWidth < 360")
    assert page.run("return document.documentElement.scrollWidth") <= browser.PHONE[0]
    assert page.run("return innerWidth") == browser.PHONE[0]
    pixels = page.pixels()
    half = pixels.shape[0] // 2
    for part in (pixels[:half, :half], pixels[:half, half:], pixels[half:]):
        assert near(part, OEDEMA, 20).sum() > 20


def test_names_of_any_kind_are_shown_and_never_run(fresh, folder):
    path = folder / "hostile.html"
    save_report(report_case(name=HOSTILE, warnings=[HOSTILE, LONG]), path, record={HOSTILE: HOSTILE})
    fresh.open_case(path, size=browser.PHONE, touch=True)
    assert fresh.text("h1") == HOSTILE
    assert fresh.run("return document.title").startswith(HOSTILE)
    assert fresh.run("return document.querySelectorAll('img[src=x]').length") == 0
    assert fresh.run("return JSON.parse(document.getElementById('run-record').textContent)") == {HOSTILE: HOSTILE}
    assert HOSTILE in fresh.run("return Object.keys(JSON.parse(document.getElementById('record-text').textContent))")
    assert fresh.run("return document.documentElement.scrollWidth") <= browser.PHONE[0]
    assert fresh.console() == []


def test_a_browser_that_cannot_draw_volumes_shows_a_still_picture_and_says_why(fresh, case):
    script = "HTMLCanvasElement.prototype.getContext = () => null"
    added = fresh.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    try:
        fresh.open_case(case.path)
    finally:
        fresh.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
    assert "it has no WebGL 2" in fresh.text("#fault")
    assert fresh.run("return getComputedStyle(document.getElementById('controls')).display") == "none"
    pixels = fresh.pixels(".still")
    assert (pixels[..., 2] > pixels[..., 0] + 30).sum() > 200
    assert fresh.text("#measures").count("mm") > 3


@pytest.fixture
def index(fresh, folder, case):
    """A cohort of three, of which two have no page."""
    summary = save_report(report_case(name="P10"), folder / "P10 #1_report.html", overwrite=True)
    cases = [
        replace(summary, volumes_ml={**summary.volumes_ml, "whole_tumour": 7.65}),
        replace(summary, name="P9", volumes_ml={**summary.volumes_ml, "whole_tumour": 12.5}, warnings=("a skull",)),
        replace(summary, name=LONG, volumes_ml={**summary.volumes_ml, "whole_tumour": 7.7}),
    ]
    save_cohort(cases, folder / "index.html", failed={"P2": "P2_t2.nii.gz: truncated"}, overwrite=True)
    fresh.open(folder / "index.html")
    return fresh


def names(page):
    return page.run(
        "return [...document.querySelectorAll('tbody tr:not([hidden]) a')].map((e) => e.textContent.trim())"
    )


def test_a_cohort_is_sorted_by_its_headings_and_by_the_keyboard(index):
    assert names(index) == ["P9", "P10", LONG], "by name, numbers as numbers"
    assert index.element("th[data-key=case]").get_attribute("aria-sort") == "ascending"
    index.run("document.querySelector('th[data-key=whole] button').focus()")
    index.press("\ue007")  # return
    assert names(index) == ["P10", LONG, "P9"], "by volume"
    index.press(" ")
    assert names(index) == ["P9", LONG, "P10"]
    assert index.element("th[data-key=whole]").get_attribute("aria-sort") == "descending"
    assert index.element("th[data-key=case]").get_attribute("aria-sort") == "none"
    assert index.console() == []


def test_a_cohort_is_searched_in_all_columns_or_one(index):
    index.element("#search").send_keys("skull")
    assert names(index) == ["P9"]
    assert index.text("#found") == "1 of 3 cases"
    index.run("const e = document.getElementById('where'); e.value = '0'; e.dispatchEvent(new Event('change'))")
    assert names(index) == []
    index.run("const e = document.getElementById('search'); e.value = 'p1'; e.dispatchEvent(new Event('input'))")
    assert names(index) == ["P10"]


def test_a_cohort_links_the_pages_beside_it(index):
    index.run("document.querySelector('tbody a').click()")
    index.until("return document.body.matches('.ready, .failed')")
    assert index.text("h1") == "P10"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_cohort_is_legible_on_a_phone_in_both_themes(index, theme):
    index.emulate(size=browser.PHONE, theme=theme, touch=True)
    assert index.run("return document.documentElement.scrollWidth") <= browser.PHONE[0]
    index.until("return document.getAnimations().length === 0")
    ratios = index.run(CONTRAST)
    assert len(ratios) > 10
    assert [entry for entry in ratios if entry[1] < 4.5] == []
    assert index.run("return getComputedStyle(document.querySelector('.sorting')).display") == "flex"
