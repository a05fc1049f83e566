"""The document of a measurement: written, read, compared, drawn."""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import get_args, get_type_hints

import bench_reports
import numpy as np
import pytest

from brats_trt import CaseError
from brats_trt.bench import document, plot
from brats_trt.bench.comparison import compare
from brats_trt.bench.document import Report, read_report, to_json
from brats_trt.bench.legend import conditions_lines
from brats_trt.notice import NOTICE

DOCS = Path(__file__).parents[1] / "docs" / "bench.md"


def written(path, report):
    path.write_text(to_json(report))
    return path


def changed(path, change):
    """A document with one thing changed."""
    content = json.loads(to_json(bench_reports.report()))
    change(content)
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    "report",
    [
        bench_reports.report(),
        bench_reports.report(runs=1, deadline=350.0),
        bench_reports.report(gpu=document.Gpu("A GPU", None, 1410.0, None)),
    ],
)
def test_a_document_comes_back_as_it_was_written(tmp_path, report):
    assert read_report(written(tmp_path / "a.json", report)) == report


def test_a_document_carries_version_notice_and_every_sample():
    report = bench_reports.report(runs=7)
    content = json.loads(to_json(report))
    assert list(content)[:2] == ["schema_version", "notice"]
    assert content["schema_version"] == document.SCHEMA_VERSION
    assert content["notice"] == NOTICE
    totals = content["jobs"][0]["stages"][-1]
    assert totals["name"] == "total"
    assert totals["samples_ms"] == list(report.job("arrays").total.samples_ms)


def record_fields(kind):
    """All field names of a dataclass and those in it."""
    for field in fields(kind):
        yield field.name
        hint = get_type_hints(kind)[field.name]
        for inner in (hint, *get_args(hint)):
            if is_dataclass(inner):
                yield from record_fields(inner)


def test_every_field_of_the_document_is_documented():
    named = set(re.findall(r"`([a-z0-9_]+)`", DOCS.read_text()))
    assert set(record_fields(Report)) <= named


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(schema_version=2), r"'schema_version' is 2; this version of brats_trt reads 1"),
        (lambda d: d.pop("schema_version"), "'schema_version' is missing"),
        (lambda d: d.pop("memory"), "'memory' is missing"),
        (lambda d: d.update(more=1), "'more' is not known"),
        (
            lambda d: d["conditions"]["engine"].update(threads="2"),
            r"'conditions.engine.threads' is '2'; expected an int",
        ),
        (lambda d: d["jobs"].pop(), "the jobs are"),
        (lambda d: d["jobs"][0]["stages"].pop(), "expected each once and a total"),
        (lambda d: d["jobs"][0]["stages"][0]["samples_ms"].pop(), "differing numbers of samples"),
        (
            lambda d: d["jobs"][0]["stages"][0]["samples_ms"].__setitem__(0, -1),
            r"'jobs.arrays.load.samples_ms' holds no",
        ),
        (lambda d: d["jobs"][0]["stages"][0]["samples_ms"].__setitem__(0, 1e13), "holds no time; expected 0 to 1e"),
        (lambda d: d["conditions"].update(load_average=10**400), "'conditions.load_average' is 1000+... *; expected a"),
        (lambda d: d["jobs"][1]["stages"][2].update(samples_ms=[0] * 20), "'jobs.files.infer.summary' is not that of"),
        (lambda d: d["conditions"]["cpu"].update(model="\ud800"), "surrogates not allowed"),
    ],
)
def test_a_document_that_does_not_fit_is_refused_by_field(tmp_path, change, message):
    with pytest.raises(CaseError, match=message):
        read_report(changed(tmp_path / "a.json", change))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 100000, b'{"schema_version": NaN}', b"[]"])
def test_what_is_no_document_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(CaseError, match=r"brats-trt bench --json"):
        read_report(tmp_path / "a.json")


def test_a_missing_document_is_refused(tmp_path):
    with pytest.raises(CaseError, match="cannot be read"):
        read_report(tmp_path / "none.json")


def test_a_comparison_finds_the_ratio_of_every_stage():
    here, there = bench_reports.report(slower=2.0, seed=5), bench_reports.report(seed=9)
    comparison = compare(here, there)
    stages = [(job.name, stage.name) for job in here.jobs for stage in job.stages]
    assert [(ratio.job, ratio.stage) for ratio in comparison.ratios] == stages
    for entry in comparison.ratios:
        medians = [
            np.median(next(s.samples_ms for s in report.job(entry.job).stages if s.name == entry.stage))
            for report in (here, there)
        ]
        assert entry.ratio.value == pytest.approx(medians[0] / medians[1])
        assert entry.ratio.lower <= entry.ratio.value <= entry.ratio.upper
        assert 1.8 < entry.ratio.value < 2.2
        assert entry.has_interval == (entry.job != "cold"), "of three runs"
    assert comparison.differences == ()


def test_a_comparison_names_every_condition_that_differs():
    plain = bench_reports.conditions()
    report = bench_reports.report(
        engine=replace(plain.engine, precision="fp32", threads=1, file="renamed.onnx"),
        cpu=replace(plain.cpu, mhz=(1000.0,)),
        gpu=document.Gpu("A GPU", None, None, None),
        case=replace(plain.case, shape=(120, 120, 77)),
        load_average=3.5,
    )
    other = replace(bench_reports.report(), warmup=0)
    found = {entry.condition: (entry.here, entry.there) for entry in compare(report, other).differences}
    assert found == {
        "warmup": ("3", "0"),
        "case.shape": ("120x120x77", "240x240x155"),
        "engine.precision": ("fp32", "bf16"),
        "engine.threads": ("1", "2"),
        "gpu.model": ("A GPU", "none"),
        "load_average": ("3.5", "0.25"),
    }


@pytest.mark.parametrize("runs", [1, 2, 30, 300])
@pytest.mark.parametrize("deadline", [None, 1.0, 350.0, 1e6])
def test_any_measurement_can_be_drawn(runs, deadline):
    picture = plot.draw_report(bench_reports.report(runs=runs, deadline=deadline))
    colours = {colour for _, colour in picture.getcolors(1 << 20)}
    assert picture.width == plot.WIDTH
    assert {plot.BAR, plot.INFER, plot.BACKGROUND} <= colours
    assert (plot.LATE in colours) == (deadline is not None)


def test_long_names_do_not_leave_the_picture():
    engine = replace(bench_reports.conditions().engine, file="x" * 400)
    picture = plot.draw_report(bench_reports.report(engine=engine, cpu=document.Cpu("y" * 400, 2, None, None)))
    margin = np.asarray(picture)[:, plot.WIDTH - plot.MARGIN + 4 :]
    assert (margin[: plot.HEADER] == plot.BACKGROUND).all()
    assert (margin[-plot.FOOTER + 4 :] == plot.BACKGROUND).all()


def test_a_bar_is_as_long_as_its_median():
    lengths = {}
    for slower in (1.0, 2.0):
        axis = plot.Axis(0.0, 1000.0, 100.0, 600.0)
        lengths[slower] = axis.at(slower * 200) - axis.first
    assert lengths[2.0] == 2 * lengths[1.0] == 200.0


@pytest.mark.parametrize("samples", [(5.0,), (5.0, 5.0), (0.01, 90.0), tuple(np.linspace(300, 400, 200))])
def test_bins_hold_all_samples(samples):
    edges = plot.bin_edges(samples)
    assert np.histogram(samples, edges)[0].sum() == len(samples)
    assert 2 <= len(edges) <= plot.MOST_BINS + 2


def test_ticks_are_round_and_within():
    assert plot.Axis(0.0, 473.0, 0.0, 1.0).ticks(5) == [0, 100, 200, 300, 400]
    assert plot.Axis(433.0, 512.0, 0.0, 1.0).ticks(5) == [440, 460, 480, 500]


def test_conditions_in_words_leave_out_what_is_hidden():
    hidden = bench_reports.conditions(cpu=document.Cpu(None, 1, None, None))
    assert conditions_lines(hidden)[0].startswith("unknown processor, 1 core; 2 threads")
    assert "GHz" in conditions_lines(bench_reports.conditions())[0]
