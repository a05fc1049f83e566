"""`segment --report`: pages beside the label maps, and the page that links them."""

from __future__ import annotations

import gzip
import json
import sys

import heads
import pytest
from cases import save
from models import tiny_model

from brats_trt import EngineError, cli
from brats_trt.records import read_record
from brats_trt.report import case_page, viewer


@pytest.fixture(autouse=True)
def small_viewer(monkeypatch):
    monkeypatch.setattr(case_page, "load_viewer", lambda: gzip.compress(b"// the viewer"))
    monkeypatch.setattr("brats_trt.report.load_viewer", lambda: b"")


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a command line in this process: exit code, stdout, stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["brats-trt", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return end.value.code or 0, captured.out, captured.err

    return call


@pytest.fixture
def segment(run, tmp_path):
    """Runs `segment --report` on cases by name; those with a `!` are truncated."""
    engine = tiny_model(tmp_path / "tiny.onnx")

    def call(*names, options=()):
        folders = []
        for seed, name in enumerate(names):
            folder = tmp_path / "in" / name.strip("!")
            if not folder.exists():
                folder.mkdir(parents=True)
                for modality, volume in heads.volumes(seed=seed).items():
                    path = save(folder / f"{folder.name}_{modality}.nii.gz", volume)
                    if "!" in name:
                        path.write_bytes(path.read_bytes()[:-400])
            folders.append(folder)
        return run("segment", *folders, "-o", tmp_path / "out", "--engine", engine, "--report", *options)

    return call


def files(tmp_path):
    return sorted(path.name for path in (tmp_path / "out").iterdir())


def test_each_case_gets_a_page_and_the_cohort_one(segment, tmp_path):
    code, out, err = segment("P1", "P2", options=("--json",))
    assert code == 0, err
    assert files(tmp_path) == ["P1.nii.gz", "P1_report.html", "P2.nii.gz", "P2_report.html", "index.html"]
    assert [entry["report"] for entry in json.loads(out)["cases"]] == [
        str(tmp_path / "out" / f"{name}_report.html") for name in ("P1", "P2")
    ]
    index = (tmp_path / "out" / "index.html").read_text()
    assert 'href="./P1_report.html"' in index
    assert "2 cases segmented." in index


def test_without_the_option_there_is_no_page(run, tmp_path):
    folder = tmp_path / "P1"
    folder.mkdir()
    for modality, volume in heads.volumes().items():
        save(folder / f"P1_{modality}.nii.gz", volume)
    code, out, _ = run("segment", folder, "-o", tmp_path / "out", "--engine", tiny_model(tmp_path / "t.onnx"), "--json")
    assert code == 0
    assert json.loads(out)["cases"][0]["report"] is None
    assert files(tmp_path) == ["P1.nii.gz"]


def test_a_failed_case_leaves_no_page_and_stands_on_the_cohorts(segment, tmp_path):
    assert segment("P1", "P2!")[0] == 2
    assert files(tmp_path) == ["P1.nii.gz", "P1_report.html", "index.html"]
    index = (tmp_path / "out" / "index.html").read_text()
    assert "1 case segmented, 1 failed." in index
    failed = index.split('<dl class="failed">')[1].split("</dl>")[0]
    assert "<dt>P2</dt>" in failed
    assert "truncated" in failed


@pytest.mark.parametrize("name", ["P1_report.html", "index.html"])
def test_pages_that_exist_are_kept_unless_overwrite(segment, tmp_path, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("precious")
    code, _, err = segment("P1")
    assert code == 2
    assert "exists already and is kept; pass --overwrite" in err
    assert (tmp_path / "out" / name).read_text() == "precious"
    assert "P1.nii.gz" not in files(tmp_path)
    assert segment("P1", options=("--overwrite",))[0] == 0
    assert "precious" not in (tmp_path / "out" / name).read_text()


def test_a_page_that_cannot_be_written_takes_the_case_with_it(segment, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("brats_trt.report.write_whole", fail)
    monkeypatch.setattr("brats_trt.report.save_cohort", lambda *_, **__: None)
    assert segment("P1")[0] == 1
    assert files(tmp_path) == []


def test_an_installation_without_the_viewer_is_refused_before_any_work(segment, tmp_path, monkeypatch):
    def missing():
        raise EngineError(f"this installation has no NiiVue {viewer.VERSION}")

    monkeypatch.setattr("brats_trt.report.load_viewer", missing)
    code, _, err = segment("P1")
    assert code == 2
    assert "this installation has no NiiVue" in err
    assert not (tmp_path / "out").exists()


def test_a_page_carries_the_record_of_its_run(segment, tmp_path):
    assert segment("P1")[0] == 0
    labels, page = (read_record(tmp_path / "out" / name) for name in ("P1.nii.gz", "P1_report.html"))
    assert page == labels
