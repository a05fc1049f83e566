"""The run record that a picture carries: written, read back, and refused where the file is broken."""

from __future__ import annotations

import pytest
from models import tiny_model
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from record_files import head_folder

from brats_trt import CaseError, Segmenter
from brats_trt.pictures import save_preview
from brats_trt.records import read_record
from brats_trt.records.verification import verify
from brats_trt.spec import MODALITIES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return head_folder(tmp_path_factory.mktemp("cases") / "P1")


@pytest.fixture(scope="module")
def result(tmp_path_factory, folder):
    model = tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")
    return Segmenter(model, precision="fp32", keep_volumes=True).run(folder)


@pytest.fixture
def preview(tmp_path, result):
    save_preview(result, tmp_path / "P1_preview.png")
    return tmp_path / "P1_preview.png"


def with_texts(path, *texts):
    info = PngInfo()
    for keyword, text in texts:
        info.add_text(keyword, text)
    Image.new("RGB", (4, 4)).save(path, pnginfo=info)
    return path


def test_a_preview_gives_the_record_of_its_run_back(preview, result):
    assert read_record(preview) == result.record


def test_a_preview_is_verified_by_its_record(preview, folder, tmp_path):
    found = verify(preview, folder)
    assert found.holds
    statuses = {check.subject: check.status for check in found.checks}
    assert statuses == dict.fromkeys(MODALITIES, "ok") | {"labels": "not checked", "model": "not checked"}
    other = head_folder(tmp_path / "P1", dirty=True)
    assert not verify(preview, other).holds


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "no run record"),
        ([("Comment", "brats_trt.run_record")], "no run record"),
        ([("brats_trt.run_record", "{}")] * 2, "2 run records"),
        ([("brats_trt.run_record", "[")], "not JSON"),
    ],
)
def test_a_picture_without_one_readable_record_is_refused(tmp_path, texts, message):
    with pytest.raises(CaseError, match=message):
        read_record(with_texts(tmp_path / "a.png", *texts))


def test_a_picture_that_is_cut_off_is_refused(preview):
    content = preview.read_bytes()
    preview.write_bytes(content[: len(content) // 2])
    with pytest.raises(CaseError, match="truncated"):
        read_record(preview)


def test_a_picture_that_is_none_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"GIF89a")
    with pytest.raises(CaseError, match="is no PNG"):
        read_record(tmp_path / "a.png")
    with pytest.raises(CaseError, match="cannot be read"):
        read_record(tmp_path / "none.png")
