"""The pages as files: what is in them, whatever a case is called and however it is stored. No browser is needed."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import nibabel
import numpy as np
import pytest
from cases import OBLIQUE
from PIL import Image
from report_cases import AFFINE, MODALITIES, report_case
from results import result_of

from brats_trt.errors import CaseError, EngineError
from brats_trt.measures import measure
from brats_trt.pictures.palette import label_styles
from brats_trt.report import case_page, packing, save_cohort, save_report, viewer
from brats_trt.report.markup import asset, json_script, text

NOTICE = "Research use only, not a medical device."
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{$name}"
VOID = {"meta", "link", "input", "img", "br"}


@pytest.fixture(autouse=True)
def small_viewer(monkeypatch):
    """The pages' own part does not depend on the viewer, which an installation may lack."""
    monkeypatch.setattr(case_page, "load_viewer", lambda: gzip.compress(b"// the viewer"))


class Outline(HTMLParser):
    """The elements of a page, and the content of its scripts; elements that are not closed in order are faults."""

    def __init__(self, page):
        super().__init__()
        self.open, self.faults, self.tags, self.scripts, self.text = [], [], [], {}, []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop()[0] != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        tag, attributes = self.open[-1] if self.open else ("", {})
        if tag == "script":
            self.scripts[attributes.get("id", "")] = data
        elif tag != "style":
            self.text.append(data)


def written(tmp_path, result, **options):
    path = tmp_path / "P1_report.html"
    summary = save_report(result, path, **options)
    return Outline(path.read_text(encoding="utf-8")), summary


def image_of(outline, name):
    content = gzip.decompress(base64.b64decode(outline.scripts[f"volume-{name}"]))
    return nibabel.Nifti1Image.from_bytes(content)


def test_a_page_is_well_formed_and_says_what_it_is(tmp_path):
    outline, _ = written(tmp_path, report_case(name="P1", warnings=["t2 has 3 NaN voxels"]))
    words = " ".join(outline.text)
    assert outline.faults == []
    assert outline.open == []
    for expected in ("P1", NOTICE, "Whole tumour", "Side of the head", "left", "t2 has 3 NaN voxels", "467.1", "brats"):
        assert expected in words
    identities = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(identities) == len(set(identities))


def test_a_page_says_in_words_what_each_colour_means(tmp_path):
    words = " ".join(written(tmp_path, report_case())[0].text)
    hues = {"Necrotic core": "orange red", "Enhancing tumour": "yellow", "Oedema": "sky blue"}
    for style in label_styles("brats"):
        assert f"{style.name}: {hues[style.name]}" in words
        red, green, blue = style.colour
        assert {
            "orange red": red > 2 * green > blue,
            "yellow": min(red, green) > 2 * blue,
            "sky blue": blue > green > red,
        }[hues[style.name]]


def test_a_page_loads_nothing(tmp_path):
    outline, _ = written(tmp_path, report_case())
    for tag, attributes in outline.tags:
        for name in ("src", "href", "data", "action"):
            assert attributes.get(name, "data:").startswith(("data:", "#")), (tag, attributes)
    assert "@import" not in asset("page.css")
    assert "url(" not in asset("page.css")
    (policy,) = [a["content"] for tag, a in outline.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    for name in ("case.html", "cohort.html", "case.js", "viewer.js", "cohort.js", "page.css"):
        assert "http" not in asset(name).replace("http-equiv", "")


@pytest.mark.parametrize("name", [HOSTILE, "a b%#?.nii", "\udcff broken", "ÄÖ 脑"])
def test_hostile_names_are_shown_as_text_and_never_run(tmp_path, name):
    result = report_case(name=name, warnings=[name])
    plain, _ = written(tmp_path, report_case(name="P1", warnings=["P1"]))
    outline, _ = written(tmp_path, result, record={"case": name, "note": HOSTILE}, overwrite=True)
    shown = name.encode("utf-8", "backslashreplace").decode()
    assert outline.faults == []
    assert "".join(outline.text).count(shown) == "".join(plain.text).count("P1")
    assert json.loads(outline.scripts["run-record"]) == {"case": name, "note": HOSTILE}
    tags = [tag for tag, _ in outline.tags]
    assert len(tags) == len(plain.tags) + len(["details", "summary", "pre", "script"])
    assert not [a for _, a in outline.tags if any(key.startswith("on") for key in a)]


def test_json_within_a_page_cannot_end_its_script():
    document = {"</script>": ["<!--", "\u2028", "&amp;", 1.5, None]}
    script = json_script("x", document)
    content = script.removeprefix('<script type="application/json" id="x">').removesuffix("</script>")
    assert json.loads(content) == document
    assert not set("<>&\u2028") & set(content)
    with pytest.raises(ValueError, match="JSON"):
        json_script("x", {"a": float("nan")})


def test_text_is_safe_in_attributes():
    assert text("\"'<&>") == "&quot;&#x27;&lt;&amp;&gt;"


@pytest.mark.parametrize("scheme", ["brats", "brats2023", "msd"])
@pytest.mark.parametrize("affine", [AFFINE, OBLIQUE], ids=["straight", "oblique"])
def test_the_pictures_lie_where_the_input_lies(tmp_path, scheme, affine):
    result = report_case(affine=affine, scheme=scheme)
    outline, summary = written(tmp_path, result)
    expected = (result.labels > 0).sum()
    image = image_of(outline, "classes")
    classes = np.asarray(image.dataobj)
    assert (classes > 0).sum() == expected
    where = np.argwhere(classes > 0) @ image.affine[:3, :3].T + image.affine[:3, 3]
    assert where.mean(axis=0) == pytest.approx(summary.measures.structures["whole_tumour"].centroid_mm, abs=1e-3)
    assert int(image.header["sform_code"]) == 1
    for value, structure in ((1, "necrotic"), (2, "oedema"), (3, "enhancing")):
        millilitres = (classes == value).sum() * abs(np.linalg.det(affine[:3, :3])) / 1000
        assert millilitres == pytest.approx(result.volumes_ml[structure])


def test_grey_values_lead_back_to_the_inputs_units(tmp_path):
    result = report_case()
    outline, _ = written(tmp_path, result)
    for modality in MODALITIES:
        image, source = image_of(outline, modality), result.case.volumes[modality].data
        start = np.rint(np.linalg.inv(result.affine) @ image.affine[:, 3]).astype(int)[:3]
        part = source[tuple(slice(a, a + n) for a, n in zip(start, image.shape, strict=True))]
        stored = image.dataobj.get_unscaled()
        assert ((stored > 0) == (part > 0)).all()
        low, high = float(image.header["cal_min"]), float(image.header["cal_max"])
        inside = (part > low) & (part < high)
        assert inside[part > 0].mean() > 0.9
        assert np.abs(np.asarray(image.dataobj)[inside] - part[inside]).max() <= 0.51 * (high - low) / 254
        assert np.argwhere(source > 0).min(axis=0).tolist() >= start.tolist()


def test_a_large_noisy_case_stays_below_the_limit_and_says_what_it_lost(tmp_path):
    random = np.random.default_rng(0)
    volumes = {modality: random.integers(1, 30000, (240, 240, 155), np.int16) for modality in MODALITIES}
    classes = np.zeros((240, 240, 155), np.uint8)
    classes[100:140, 100:140, 60:90] = 2
    path = tmp_path / "P1_report.html"
    save_report(result_of(classes, volumes=volumes), path)
    assert path.stat().st_size < case_page.PAGE_BYTES == 12_000_000
    assert "To keep this page small, its pictures show one voxel in 2 along each axis" in path.read_text()


def test_greys_are_given_up_before_voxels():
    random = np.random.default_rng(0)
    noise = {modality: random.integers(1, 3000, (30, 31, 32), np.int16) for modality in MODALITIES}
    classes = np.full((30, 31, 32), 2, np.uint8)
    result = result_of(classes, volumes=noise)
    whole = packing.pack_case(result, 10**9)
    size = sum(map(len, whole.volumes.values())) + len(whole.classes)
    fewer, small = packing.pack_case(result, size - 1), packing.pack_case(result, size // 5)
    assert (whole.step, whole.greys) == (1, 254)
    assert (fewer.step, fewer.greys) == (1, 62)
    assert small.step > 1
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(small.classes))
    assert np.linalg.norm(image.affine[:3, :3], axis=0) == pytest.approx([small.step] * 3)
    assert np.asarray(image.dataobj).any()


def test_no_grid_is_tried_that_cannot_fit():
    box = packing.Box((0, 0, 0), (1024, 1024, 1024))
    step, greys = next(packing._ladder(box))
    assert 4 * (1024 / step) ** 3 < 50e6
    assert greys == 254


def test_without_a_tumour_the_page_says_so(tmp_path):
    outline, summary = written(tmp_path, report_case(tumour=False))
    words = " ".join(outline.text)
    assert "No tumour found." in words
    assert "Centre on the head" in words
    assert summary.measures.structures["whole_tumour"] is None
    assert "nan" not in words


def test_an_input_that_states_no_orientation_gets_no_sides(tmp_path):
    outline, summary = written(tmp_path, report_case(affine=np.eye(4), header=False))
    words = " ".join(outline.text)
    assert "does not say how it lies in the patient" in words
    assert "not stated" in words
    assert "the patient's right is on the left" not in words
    assert not summary.oriented
    assert json.loads(outline.scripts["page"])["oriented"] is False


def test_the_page_holds_the_measures_in_full(tmp_path):
    result = report_case(centre=(30, 28, 20))
    outline, summary = written(tmp_path, result)
    assert json.loads(outline.scripts["measures-data"]) == json.loads(json.dumps(measure(result).document()))
    assert summary.measures.structures["whole_tumour"].side == "right"


def test_a_case_without_volumes_is_refused(tmp_path):
    with pytest.raises(ValueError, match="keep_volumes=True"):
        save_report(replace(report_case(), case=None), tmp_path / "a.html")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "save", [lambda path, **o: save_report(report_case(), path, **o), lambda path, **o: save_cohort([], path, **o)]
)
def test_a_page_that_exists_is_kept_unless_overwrite(tmp_path, save):
    path = tmp_path / "page.html"
    path.write_text("precious")
    with pytest.raises(CaseError, match="exists already and is kept"):
        save(path)
    assert path.read_text() == "precious"
    save(path, overwrite=True)
    assert NOTICE in path.read_text()
    with pytest.raises(CaseError, match=r"ends in \.html"):
        save(tmp_path / "page.txt")


def test_an_installation_without_the_viewer_says_what_to_do(monkeypatch):
    monkeypatch.setattr(viewer, "FILE", "absent.js.gz")
    viewer.load_viewer.cache_clear()
    with pytest.raises(EngineError, match=r"fetch_viewer\.py"):
        viewer.load_viewer()
    viewer.load_viewer.cache_clear()


def test_a_page_carries_the_licence_of_the_viewer(tmp_path):
    words = "".join(written(tmp_path, report_case())[0].text)
    for line in viewer.viewer_licence().splitlines():
        assert line in words
    assert viewer.VERSION in words


def test_the_thumbnail_is_a_small_picture_with_the_classes_in_it(tmp_path):
    _, summary = written(tmp_path, report_case())
    picture = Image.open(BytesIO(summary.thumbnail)).convert("RGB")
    assert max(picture.size) == 128
    assert len(summary.thumbnail) < 20_000
    red, green, blue = np.asarray(picture).astype(int).reshape(-1, 3).T
    assert ((red > blue + 80) & (green < red - 40)).any(), "vermilion"
    assert (blue > red + 40).any(), "sky blue"


def cohort(tmp_path, **options):
    summary = written(tmp_path, report_case(name="P1"))[1]
    names = ["P10", "P9", HOSTILE]
    cases = [
        replace(summary, name=name, page=f"{name[:3]}%1 #.html", warnings=("odd",) * (name == "P9")) for name in names
    ]
    save_cohort(cases, tmp_path / "index.html", **options)
    return Outline((tmp_path / "index.html").read_text(encoding="utf-8"))


def test_a_cohort_page_links_its_cases_and_lists_what_failed(tmp_path):
    outline = cohort(tmp_path, failed={"P2<b>": "P2_t2.nii.gz: truncated"})
    words = " ".join(outline.text)
    assert outline.faults == []
    assert [a["href"] for tag, a in outline.tags if tag == "a"] == [
        "./P10%251%20%23.html",
        "./P9%251%20%23.html",
        "./%3C/s%251%20%23.html",
    ]
    for expected in ("3 cases segmented, 1 failed.", "P2<b>", "P2_t2.nii.gz: truncated", NOTICE, "odd", HOSTILE):
        assert expected in words
    assert sum(tag == "img" for tag, _ in outline.tags) == 3
    assert sum(tag == "b" for tag, _ in outline.tags) == 0


def test_a_cohort_page_without_failures_has_no_such_part(tmp_path):
    assert "Failed" not in " ".join(cohort(tmp_path).text)
