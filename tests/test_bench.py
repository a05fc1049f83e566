"""`brats-trt bench`: what is measured, what is written, what is refused."""

from __future__ import annotations

import json
import os
import shutil
import sys
import warnings
from functools import partial

import bench_reports
import heads
import numpy as np
import pytest
from cases import save
from models import tiny_model
from PIL import Image

import brats_trt.demo
from brats_trt import EngineError, Segmenter, cli
from brats_trt.bench.cold_start import measure_cold
from brats_trt.bench.document import Gpu, read_report, to_json
from brats_trt.bench.measure import arrays_of, measure_arrays, measure_files, measure_throughput
from brats_trt.bench.run import Plan, Setup, run_bench
from brats_trt.case import load_case
from brats_trt.nifti import read_nifti
from brats_trt.notice import NOTICE
from brats_trt.records import read_record

STAGES = ["load", "prepare", "infer", "restore", "regions"]
COLD = ["interpreter", "import", "construct", "first_run"]


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs `brats-trt bench` in this process: exit code, stdout, stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["brats-trt", "bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return end.value.code or 0, captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("engine") / "tiny.onnx")


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases") / "P1"
    folder.mkdir()
    for name, volume in heads.volumes().items():
        save(folder / f"P1_{name}.nii.gz", volume)
    return folder


@pytest.fixture(scope="module")
def report(engine, case):
    plan = Plan(runs=5, warmup=1, cold_starts=2, workers=(1, 2, 4), deadline_ms=1e6)
    return run_bench(Setup(engine=engine, threads=2), plan, case=case, say=lambda _: None)


class Counted:
    """A segmenter that counts its runs."""

    def __init__(self, segmenter):
        self.segmenter = segmenter
        self.runs = 0

    def run(self, source):
        self.runs += 1
        return self.segmenter.run(source)


def test_each_job_has_a_sample_a_run_and_stage(report):
    expected = {"arrays": (STAGES, 5), "files": ([*STAGES, "save"], 5), "cold": (COLD, 2)}
    for job in report.jobs:
        stages, runs = expected[job.name]
        assert [stage.name for stage in job.stages] == [*stages, "total"]
        assert all(len(stage.samples_ms) == runs for stage in job.stages)


def test_stages_take_no_longer_than_their_total(report):
    for job in report.jobs:
        parts = np.sum([stage.samples_ms for stage in job.stages if stage.name != "total"], axis=0)
        assert (parts <= np.array(job.total.samples_ms) * (1 + 1e-9)).all()
        assert (parts > 0).all()


def test_workers_share_the_threads_and_the_cases(report):
    found = [(entry.workers, entry.threads_each, entry.cases) for entry in report.throughput]
    assert found == [(1, 2, 5), (2, 1, 6), (4, 1, 8)]
    for entry in report.throughput:
        assert entry.cases_per_second == pytest.approx(entry.cases / entry.seconds)


def test_conditions_say_what_ran(report, engine):
    segmenter = Segmenter(engine)
    ran = report.conditions.engine
    assert (ran.file, ran.sha256) == ("tiny.onnx", segmenter.model_sha256)
    assert (ran.device, ran.runtime, ran.precision, ran.threads) == ("cpu", "openvino", segmenter.precision, 2)
    assert report.conditions.case.source == "given"
    assert report.conditions.case.name == "P1"
    assert report.conditions.gpu is None
    assert report.memory.device_mib is None
    assert report.memory.cold_peak_rss_mib > 30
    assert (report.deadline.arrays_share, report.deadline.files_share) == (1.0, 1.0)


def test_warm_up_runs_are_run_and_not_counted(engine, case):
    segmenter = Counted(Segmenter(engine))
    job = measure_arrays(segmenter, arrays_of(load_case(case)), runs=3, warmup=2)
    assert (segmenter.runs, len(job.total.samples_ms)) == (5, 3)


def test_the_labels_that_are_timed_are_saved(engine, case, tmp_path):
    segmenter = Segmenter(engine)
    measure_files(segmenter, case, tmp_path / "timed.nii.gz", runs=1, warmup=0)
    expected = segmenter.run(case)
    timed = read_nifti(tmp_path / "timed.nii.gz")
    assert np.array_equal(timed.data, expected.labels)
    assert np.array_equal(timed.affine, expected.affine)
    assert read_record(tmp_path / "timed.nii.gz").labels_sha256 == expected.record.labels_sha256


def test_arrays_are_the_values_of_the_files(tmp_path):
    folder = tmp_path / "P2"
    folder.mkdir()
    for name, volume in heads.volumes().items():
        save(folder / f"P2_{name}.nii.gz", volume, slope=2.5 if name == "t1" else None, intercept=7.0)
    loaded = load_case(folder)
    arrays = arrays_of(loaded)
    assert arrays["t2"] is loaded.volumes["t2"].data
    volume = loaded.volumes["t1"]
    assert (volume.slope, volume.intercept) == (2.5, 7.0)
    np.testing.assert_allclose(arrays["t1"], volume.data * 2.5 + 7.0, rtol=1e-6)


def test_each_worker_has_a_segmenter_of_its_own(engine, case):
    made = []

    def make(threads):
        made.append(Counted(Segmenter(engine, threads=threads)))
        return made[-1]

    found = measure_throughput(make, case, workers=3, threads=2, runs=4)
    assert [segmenter.runs for segmenter in made] == [1 + 2] * 3
    assert (found.threads_each, found.cases) == (1, 6)


def test_what_is_found_in_a_case_is_said_once(engine, case):
    lines = []
    volumes = heads.volumes()
    folder = case.parent / "P3"
    folder.mkdir()
    for name, volume in volumes.items():
        values = volume.astype(np.float32)
        values[0, 0, 0] = np.nan
        save(folder / f"P3_{name}.nii.gz", values)
    plan = Plan(runs=2, warmup=1, cold_starts=1, workers=(1,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_bench(Setup(engine=engine), plan, case=folder, say=lines.append)
    spoken = [line for line in lines if line.startswith("warning: ")]
    assert len(spoken) == len(set(spoken)) == len(volumes)


def test_a_gpu_is_asked_for_its_name_and_memory_while_it_is_warm(engine, case, monkeypatch):
    asked = []

    class OnGpu(Counted):
        device, runtime, precision, model_sha256 = "cuda", "tensorrt", "fp16", "0" * 64

        @property
        def spec(self):
            return self.segmenter.spec

    run = "brats_trt.bench.run"
    monkeypatch.setattr(f"{run}.Setup.segmenter", lambda setup, threads: OnGpu(Segmenter(engine)))
    cold = bench_reports.job("cold", bench_reports.COLD), 1.0
    monkeypatch.setattr(f"{run}.measure_cold", lambda *_, starts: asked.append("cold") or cold)
    monkeypatch.setattr(f"{run}.read_gpu", lambda: asked.append("clocks") or Gpu("A GPU", None, None, None))
    monkeypatch.setattr(f"{run}.device_memory_mib", lambda: 700.0)
    report = run_bench(Setup(), Plan(runs=1, warmup=0, workers=()), case=case, say=asked.append)
    assert asked.index("arrays in, labels out: 0 + 1 runs") + 1 == asked.index("clocks") < asked.index("cold")
    assert report.conditions.gpu.model == "A GPU"
    assert report.memory.device_mib == 700.0
    assert (report.conditions.engine.device, report.conditions.engine.runtime) == ("cuda", "tensorrt")


def test_a_fresh_process_that_fails_says_why(case, tmp_path):
    options = Setup(engine=tmp_path / "none.onnx").options(1)
    with pytest.raises(EngineError, match=r"a fresh process failed.*none\.onnx"):
        measure_cold(options, case, starts=1)


def test_the_demo_model_and_a_phantom_are_the_default(run, tmp_path, monkeypatch):
    small = partial(brats_trt.demo.make_phantom, shape=(48, 48, 31))
    monkeypatch.setattr(brats_trt.demo, "make_phantom", small)
    monkeypatch.chdir(tmp_path)
    options = ("--runs", 1, "--warmup", 0, "--cold-starts", 1, "--workers", 1, "--deadline", 1e-3)
    code, out, err = run(*options, "--json", "a.json", "--plot", "a.png")
    assert code == 0, err
    for word in ("p95", "jitter", "cases/s", "Within 0.001 ms: 0.0%", "native", "load average", NOTICE):
        assert word in out
    report = read_report(tmp_path / "a.json")
    assert report.conditions.case.source == "phantom"
    assert report.conditions.case.shape == (48, 48, 31)
    assert report.conditions.engine.file == "the demo model"
    assert report.deadline.arrays_share == 0.0
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size[0] == 1600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.png"]


def test_a_comparison_prints_ratios_and_what_differs(run, tmp_path, engine, case):
    (tmp_path / "old.json").write_text(to_json(bench_reports.report()))
    options = ("--engine", engine, "--runs", 2, "--warmup", 0, "--cold-starts", 1, "--workers", 1, "--tta")
    code, out, err = run(case, *options, "--json", tmp_path / "new.json", "--compare", tmp_path / "old.json")
    assert code == 0, err
    assert "95% interval" in out
    assert "too few runs" in out
    assert "CONDITIONS DIFFER" in out
    assert "engine.tta: True here, False there" in out
    assert json.loads((tmp_path / "new.json").read_text())["conditions"]["engine"]["tta"] is True


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--runs", "0"), "Invalid value for '--runs'"),
        (("--deadline", "nan"), "the deadline is nan ms"),
        (("--deadline", "-1"), "the deadline is -1.0 ms"),
        (("--plot", "plot.jpg"), "ends in .png"),
        (("--json", "same.png", "--plot", "same.png"), "give each its own name"),
        (("--json", "there.json"), "exists already and is kept"),
        (("--json", "folder"), "is a folder and is kept"),
        (("--json", "pipe", "--overwrite"), "is a device, a pipe or a socket and is kept"),
        (("--json", "no/where.json"), "there is no folder no"),
        (("--json", ""), "an empty name"),
        (("--compare", "none.json"), "cannot be read"),
        (("--compare", "there.json"), "is no JSON document"),
        (("--engine", "none.onnx"), "none.onnx"),
        (("none",), "none"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(run, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.json").write_text("kept")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    code, out, err = run(*options)
    assert code == 2
    assert message in err
    assert "Traceback" not in err + out
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "pipe", "there.json"]
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "there.json").read_text() == "kept"


@pytest.mark.parametrize("output", ["m.onnx", "m.json", "m.onnx.json", "linked.json", "P1/P1_t2.nii.gz"])
def test_the_engine_its_records_and_the_case_are_never_written_over(run, tmp_path, engine, case, output):
    shutil.copy(engine, tmp_path / "m.onnx")
    shutil.copytree(case, tmp_path / "P1")
    for record in ("m.json", "m.onnx.json"):
        (tmp_path / record).write_text("a record")
    (tmp_path / "linked.json").symlink_to(tmp_path / "m.json")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    code, _, err = run(
        tmp_path / "P1", "--engine", tmp_path / "m.onnx", "--json", tmp_path / output, "--overwrite", "--runs", 1
    )
    assert code == 2
    assert "belongs to the engine or the case and is kept" in err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_what_was_measured_is_printed_where_it_cannot_be_written(run, tmp_path, monkeypatch, engine, case):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("brats_trt.files.os.replace", full)
    monkeypatch.setattr("brats_trt.bench.run.run_bench", lambda *_, **__: bench_reports.report())
    code, out, err = run(case, "--engine", engine, "--json", tmp_path / "a.json")
    assert code == 2
    assert "No space left on device" in err
    assert "jitter" in out
    assert not list(tmp_path.iterdir())


def test_bad_input_leaves_earlier_outputs(run, tmp_path, case):
    for name in ("a.json", "a.png"):
        (tmp_path / name).write_text("kept")
    outputs = ("--json", tmp_path / "a.json", "--plot", tmp_path / "a.png", "--overwrite")
    code, _, err = run(case, "--engine", tmp_path / "none.onnx", *outputs)
    assert code == 2
    assert "none.onnx" in err
    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == ["kept", "kept"]
