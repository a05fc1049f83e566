from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import weakref
from io import StringIO
from tempfile import gettempdir

import heads
import nibabel
import numpy as np
import pytest
from cases import OBLIQUE, save
from models import tiny_model
from rich.console import Console

from brats_trt import CaseError, Segmentation, Segmenter
from brats_trt.cli import console
from brats_trt.files import write_whole

NOTICE = "Research use only, not a medical device."


@pytest.fixture
def engine(tmp_path):
    return tiny_model(tmp_path / "tiny.onnx")


def head_case(folder, seed=0):
    folder.mkdir(parents=True)
    for name, volume in heads.volumes(seed=seed).items():
        save(folder / f"{folder.name}_{name}.nii.gz", volume)
    return folder


def assert_refused(outcome, message):
    code, out, err = outcome
    assert code == 2
    assert message in err
    assert "Traceback" not in err + out


def test_segment_writes_a_label_map_a_case_and_prints_volumes_and_times(run, tmp_path, engine):
    cases = [head_case(tmp_path / name, seed) for seed, name in enumerate(("P1", "P2"))]
    code, out, err = run("segment", *cases, "-o", tmp_path / "out", "--engine", engine)
    assert code == 0, err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["P1.nii.gz", "P2.nii.gz"]
    assert np.asarray(nibabel.load(tmp_path / "out" / "P1.nii.gz").dataobj).any()
    for word in ("P1", "P2", "whole tumour", "oedema", "infer", "total", NOTICE):
        assert word in out
    assert "[2/2]" in err, "plain lines where there is no terminal"
    assert "\r" not in err
    assert "\x1b" not in out + err


def test_segment_runs_what_it_was_asked_for_or_refuses(run, tmp_path, engine):
    case = head_case(tmp_path / "P1")
    given = ("segment", case, "-o", tmp_path / "out", "--engine", engine)
    assert run(*given, "--runtime", "openvino", "--precision", "fp32")[0] == 0
    code, _, err = run(*given, "--runtime", "native")
    assert code == 2
    assert "tiny.onnx: node" in err
    assert "use runtime='openvino'" in err


def test_segment_json_gives_the_same_to_programs(run, tmp_path, engine):
    case = head_case(tmp_path / "P1")
    code, out, _ = run("segment", case, "-o", tmp_path / "out", "--engine", engine, "--json", "--probabilities")
    document = json.loads(out)
    assert code == 0
    assert document["notice"] == NOTICE
    assert (document["device"], document["runtime"], document["precision"]) == ("cpu", "openvino", "fp32")
    (entry,) = document["cases"]
    labels = nibabel.load(entry["labels"])
    voxel_ml = abs(np.linalg.det(OBLIQUE[:3, :3])) / 1000
    whole = (np.asarray(labels.dataobj) > 0).sum() * voxel_ml
    assert entry["volumes_ml"]["whole_tumour"] == pytest.approx(whole, rel=1e-5)
    assert set(entry["timings_ms"]) == {"load", "prepare", "infer", "restore", "regions", "total"}
    assert nibabel.load(entry["probabilities"]).shape == (16, 16, 16, 4)
    assert document["failed"] == []


@pytest.mark.parametrize(
    ("options", "tta", "region"),
    [
        ((), False, 0.1),
        (("--profile", "authors"), True, 0.1),
        (("--profile", "omz"), False, 0.0),
        (("--profile", "authors", "--no-tta", "--min-region", "0.5"), False, 0.5),
        (("--tta",), True, 0.1),
    ],
)
def test_profiles_set_what_the_options_do_not(run, tmp_path, engine, monkeypatch, options, tta, region):
    seen = {}

    class SeenError(CaseError):
        pass

    def spy(_, **given):
        seen.update(given)
        raise SeenError("seen")

    monkeypatch.setattr("brats_trt.cli.segment.Segmenter", spy)
    run("segment", tmp_path, "-o", tmp_path / "out", "--engine", engine, *options)
    assert (seen["tta"], seen["min_region"]) == (tta, region)


def test_a_failed_case_leaves_nothing_and_the_others_go_on(run, tmp_path, engine):
    cases = [head_case(tmp_path / name) for name in ("P1", "P2", "P3")]
    (cases[1] / "P2_t2.nii.gz").write_bytes((cases[1] / "P2_t2.nii.gz").read_bytes()[:-400])
    outcome = run("segment", *cases, "-o", tmp_path / "out", "--engine", engine, "--json")
    assert_refused(outcome, "P2_t2.nii.gz: truncated")
    document = json.loads(outcome[1])
    assert [entry["case"] for entry in document["cases"]] == ["P1", "P3"]
    assert [entry["case"] for entry in document["failed"]] == ["P2"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["P1.nii.gz", "P3.nii.gz"]


def test_an_output_that_exists_is_kept_unless_overwrite(run, tmp_path, engine):
    case = head_case(tmp_path / "P1")
    arguments = ("segment", case, "-o", tmp_path / "out", "--engine", engine)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "P1.nii.gz").write_bytes(b"precious")
    assert_refused(run(*arguments), "exists already and is kept; pass --overwrite")
    assert (tmp_path / "out" / "P1.nii.gz").read_bytes() == b"precious"
    assert run(*arguments, "--overwrite")[0] == 0


def test_two_cases_of_one_name_are_refused_before_any_work(run, tmp_path, engine):
    cases = [head_case(tmp_path / parent / "P1") for parent in ("a", "b")]
    outcome = run("segment", *cases, "-o", tmp_path / "out", "--engine", engine)
    assert_refused(outcome, "would both be written as P1.nii.gz")
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_is_a_file_is_refused(run, tmp_path, engine):
    (tmp_path / "out").write_text("")
    assert_refused(
        run("segment", head_case(tmp_path / "P1"), "-o", tmp_path / "out", "--engine", engine),
        "the output folder cannot be made",
    )


def test_an_output_folder_without_permission_is_refused_before_any_work(run, tmp_path, engine, monkeypatch):
    monkeypatch.setattr("os.access", lambda _, mode: not mode & os.W_OK)  # root could write everywhere
    outcome = run("segment", head_case(tmp_path / "P1"), "-o", tmp_path / "out", "--engine", engine)
    assert_refused(outcome, "the output folder cannot be written")
    assert "[1/1]" not in outcome[2]


@pytest.mark.parametrize("point", ["os.fdopen", "os.replace"])
def test_a_write_that_fails_leaves_nothing_behind(tmp_path, monkeypatch, point):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"brats_trt.files.{point}", full)
    with pytest.raises(CaseError, match="No space left on device"):
        write_whole(tmp_path / "seg.nii.gz", b"content")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("linked", [False, True])
def test_a_write_keeps_what_is_no_file(tmp_path, linked):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    target = tmp_path / "link" if linked else pipe
    if linked:
        target.symlink_to(pipe)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(CaseError, match="is a device, a pipe or a socket and is kept"):
        write_whole(target, b"content")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert target.is_symlink() == linked
    assert sorted(tmp_path.iterdir()) == before


def test_a_write_keeps_a_name_of_an_open_file(tmp_path):
    (tmp_path / "opened").write_text("kept")
    with open(tmp_path / "opened") as opened:
        (tmp_path / "link").symlink_to(f"/proc/self/fd/{opened.fileno()}")
        with pytest.raises(CaseError, match="is a device, a pipe or a socket and is kept"):
            write_whole(tmp_path / "link", b"content")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "opened").read_text() == "kept"


def test_a_write_keeps_a_folder(tmp_path):
    with pytest.raises(CaseError, match="is a folder and is kept"):
        write_whole(tmp_path, b"content")


def test_saved_files_follow_the_umask(tmp_path):
    previous = os.umask(0o027)
    try:
        write_whole(tmp_path / "seg.nii.gz", b"content")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "seg.nii.gz").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("segment", "nowhere", "-o", "out", "--engine", "missing.onnx"), "missing.onnx: the model cannot be read"),
        (("segment", "nowhere", "-o", "out", "--engine", "x.plan"), "expected an .onnx file"),
        (("segment", "nowhere", "-o", "out", "--labels", "atlas"), "atlas"),
        (("segment", "nowhere"), "--output"),
        (("segment", "nowhere", "-o", "out", "--device", "cuda"), "use device='cpu'"),
        (("convert", "a.json", "b.params", "-o", "c.onnx"), "a.json"),
        (("dance",), "dance"),
        (("doctor", "--engine", "missing.onnx"), ""),
    ],
)
def test_a_bad_call_is_told_so_with_exit_code_2(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert_refused(run(*arguments), message)
    assert not list(tmp_path.iterdir())


def test_an_engine_error_is_one_line(run, tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"not a model")
    _, _, err = run("segment", tmp_path, "-o", tmp_path / "out", "--engine", tmp_path / "m.onnx")
    assert len(err.strip().splitlines()) == 1


def test_a_fault_of_our_own_is_exit_code_1():
    code = "import sys; from brats_trt import cli; sys.argv = ['brats-trt', 'doctor']; "
    code += "import brats_trt.cli.doctor as d; d._gpu = lambda: 1 / 0; cli.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=gettempdir())
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_doctor_names_the_model_and_the_precision(run, engine):
    code, out, _ = run("doctor", "--engine", engine)
    assert code == 0
    for word in ("brats_trt", "openvino", "runs on the cpu in fp32, runtime openvino", "gpu", NOTICE):
        assert word in out


@pytest.mark.parametrize("command", [(), ("demo",), ("segment",), ("convert",), ("build",), ("bench",), ("doctor",)])
def test_every_help_says_research_use_only(run, command):
    code, out, _ = run(*command, "--help")
    assert code == 0
    assert NOTICE in " ".join(out.split())


def test_version_is_printed(run):
    code, out, _ = run("--version")
    assert (code, out.split()[0]) == (0, "brats_trt")


def test_a_run_in_which_every_case_fails_writes_nothing(run, tmp_path, engine):
    (tmp_path / "P1").mkdir()
    assert_refused(run("segment", tmp_path / "P1", "-o", tmp_path / "out", "--engine", engine), "P1: no file for t1")
    assert not (tmp_path / "out").exists()


def test_an_unexpected_fault_in_one_case_is_told_and_the_others_go_on(run, tmp_path, engine, monkeypatch):
    cases = [head_case(tmp_path / name) for name in ("P1", "P2")]
    save_as_usual = Segmentation.save

    def save(self, path, **options):
        if "P1" in str(path):
            raise MemoryError("planted")
        save_as_usual(self, path, **options)

    monkeypatch.setattr(Segmentation, "save", save)
    code, out, err = run("segment", *cases, "-o", tmp_path / "out", "--engine", engine, "--json", "--probabilities")
    assert code == 1
    assert "unexpected MemoryError: planted" in err
    assert "Traceback" in err, "a fault of ours is shown whole"
    document = json.loads(out)
    assert [entry["case"] for entry in document["cases"]] == ["P2"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["P2.nii.gz", "P2_probabilities.nii.gz"]


def test_an_interrupted_run_reports_what_is_done_and_leaves_nothing_half_written(run, tmp_path, engine, monkeypatch):
    cases = [head_case(tmp_path / name) for name in ("P1", "P2", "P3", "P4")]
    load_as_usual, interrupted = Segmenter._load, threading.Event()

    def load(self, case):
        if "P4" in str(case):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            interrupted.set()
        return load_as_usual(self, case)

    save_as_usual = Segmentation.save

    def save(self, path, **options):
        assert "P2" not in str(path) or interrupted.wait(30)
        save_as_usual(self, path, **options)

    monkeypatch.setattr(Segmenter, "_load", load)
    monkeypatch.setattr(Segmentation, "save", save)
    code, out, err = run("segment", *cases, "-o", tmp_path / "out", "--engine", engine, "--json")
    assert code not in (0, 2)
    reported = [entry["case"] for entry in json.loads(out)["cases"]]
    assert reported == ["P1", "P2"], "P2 was being saved, P3 waited"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{name}.nii.gz" for name in reported]
    assert "[2/4]" in err
    assert "Traceback" not in err


def test_messages_come_in_the_order_of_the_cases(run, tmp_path, engine):
    cases = [head_case(tmp_path / name) for name in ("P1", "P2", "P3", "P4")]
    volume = heads.volumes()["t2"].astype(np.float32)
    volume[0, 0, 0] = np.nan
    save(cases[1] / "P2_t2.nii.gz", volume)
    (cases[2] / "P3_t1.nii.gz").unlink()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "P1.nii.gz").write_bytes(b"precious")
    code, _, err = run("segment", *cases, "-o", tmp_path / "out", "--engine", engine)
    assert code == 2
    expected = ("[1/4] P1: ", "warning: ", "[2/4] ", "[3/4] P3: ", "[4/4] ")
    for line, start in zip(err.splitlines(), expected, strict=True):
        assert line.startswith(start)


def test_a_case_whose_output_exists_is_not_worked_on(run, tmp_path, engine, monkeypatch):
    cases = [head_case(tmp_path / name) for name in ("P1", "P2")]
    loaded, load_as_usual = [], Segmenter._load
    monkeypatch.setattr(Segmenter, "_load", lambda self, case: loaded.append(case.name) or load_as_usual(self, case))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "P1.nii.gz").write_bytes(b"precious")
    run("segment", *cases, "-o", tmp_path / "out", "--engine", engine)
    assert loaded == ["P2"]


def test_finished_cases_are_not_kept_in_memory(run, tmp_path, engine, monkeypatch):
    kept = []
    segment_as_usual = Segmenter._segment

    def watched(self, loaded):
        assert sum(reference() is not None for reference in kept) <= 3
        result = segment_as_usual(self, loaded)
        kept.append(weakref.ref(result))
        return result

    monkeypatch.setattr(Segmenter, "_segment", watched)
    cases = [head_case(tmp_path / f"P{number}") for number in range(8)]
    assert run("segment", *cases, "-o", tmp_path / "out", "--engine", engine)[0] == 0
    assert len(kept) == 8


def test_a_terminal_gets_a_bar(monkeypatch):
    screen = StringIO()
    monkeypatch.setattr(console, "stderr", lambda: Console(file=screen, force_terminal=True, width=80, highlight=False))
    with console.case_progress(2) as progress:
        progress.start("P1")
        progress.done("P1.nii.gz in 1.00 s")
        progress._bar.refresh()
    text = screen.getvalue()
    assert "1/2" in text
    assert "\x1b[" in text
    assert "[1/2] P1.nii.gz in 1.00 s" in text


def test_an_input_is_never_written_over(run, tmp_path, engine):
    stacked = np.stack([heads.volumes()[name] for name in ("flair", "t1", "t1ce", "t2")], axis=3)
    case = save(tmp_path / "case.nii.gz", stacked)
    before = case.read_bytes()
    assert_refused(run("segment", case, "-o", tmp_path, "--engine", engine, "--overwrite"), "is the input")
    assert case.read_bytes() == before


def test_convert_never_writes_over_its_sources(run, tmp_path):
    symbol, weights = tmp_path / "a.json", tmp_path / "a.params"
    symbol.write_text("{}")
    weights.write_bytes(b"weights")
    assert_refused(run("convert", symbol, weights, "-o", weights, "--overwrite"), "is the input")
    assert weights.read_bytes() == b"weights"


def test_two_outputs_of_one_name_are_refused_before_any_work(run, tmp_path, engine):
    cases = [head_case(tmp_path / name) for name in ("a", "a_probabilities")]
    outcome = run("segment", *cases, "-o", tmp_path / "out", "--engine", engine, "--probabilities")
    assert_refused(outcome, "would both be written as a_probabilities.nii.gz")


def test_a_folder_in_an_outputs_place_is_kept_with_its_neighbours(run, tmp_path, engine):
    case = head_case(tmp_path / "P1")
    (tmp_path / "out" / "P1.nii.gz").mkdir(parents=True)
    (tmp_path / "out" / "P1_probabilities.nii.gz").write_bytes(b"precious")
    options = ("--overwrite", "--probabilities", "--engine", engine)
    assert_refused(run("segment", case, "-o", tmp_path / "out", *options), "is a folder and is kept")
    assert (tmp_path / "out" / "P1_probabilities.nii.gz").read_bytes() == b"precious"


@pytest.mark.parametrize("empty", ["case", "output", "engine"])
def test_an_empty_name_is_refused(run, tmp_path, engine, empty):
    names = {"case": head_case(tmp_path / "P1"), "output": tmp_path / "out", "engine": engine, empty: ""}
    outcome = run("segment", names["case"], "-o", names["output"], "--engine", names["engine"])
    assert_refused(outcome, "an empty name was given")


def test_names_are_printed_as_they_are(run, tmp_path, engine):
    cases = [head_case(tmp_path / name) for name in ("a[x]", "a[y]")]
    code, out, _ = run("segment", *cases, "-o", tmp_path / "out", "--engine", engine)
    assert code == 0
    assert "a[x]" in out
    assert "a[y]" in out


@pytest.mark.parametrize("length", [235, 252])
def test_a_long_name_is_written_or_refused_in_one_line(run, tmp_path, engine, length):
    folder = tmp_path / ("x" * length)
    folder.mkdir()
    for name, volume in heads.volumes().items():
        save(folder / f"x_{name}.nii", volume)
    outcome = run("segment", folder, "-o", tmp_path / "out", "--engine", engine)
    if length == 235:
        assert outcome[0] == 0
    else:
        assert_refused(outcome, "cannot be written (File name too long)")
