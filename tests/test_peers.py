"""What the tables of `benchmarks/peers.py` are made of."""

from __future__ import annotations

import pytest
from peers_report import ALONE, alone_table, jobs_table, write_readme
from rounds import ratios, spread, time_in_turn

TIMES = {
    "SciPy": [40.0, 80.0, 44.0],
    "brats_trt, OpenVINO FP32": [10.0, 16.0, 11.0],
    "brats_trt, native FP32": [6.0, 9.0, 6.5],
    f"{ALONE}literal, fp32": [18.0, 30.0, 21.0],
    f"{ALONE}exported, fp32": [9.0, 15.0, 10.0],
}


def test_candidates_take_turns_and_every_other_round_runs_backwards(monkeypatch):
    monkeypatch.setattr("rounds._REST_S", 0.0)
    log = []
    times = time_in_turn({"a": lambda: log.append("a"), "b": lambda: log.append("b")}, rounds=3)
    assert "".join(log) == "abbaab"
    assert [len(times[name]) for name in "ab"] == [3, 3]


def test_a_ratio_is_taken_within_its_round():
    assert ratios(TIMES, "SciPy", "brats_trt, OpenVINO FP32") == [4.0, 5.0, 4.0]


def test_the_spread_is_the_middle_half_over_the_median():
    assert spread([1.0, 2.0, 3.0, 4.0, 500.0]) == pytest.approx((4 - 2) / 3)


def test_whole_jobs_are_compared_with_the_first():
    ours = "brats_trt, OpenVINO FP32"
    rows = jobs_table(TIMES, ["SciPy", ours], {"SciPy": 0, ours: 1234})
    assert rows[2:] == [
        "| SciPy | 44 | 45.5% | 1.00 | 0.0% | 0 |",
        "| **brats_trt, OpenVINO FP32** | 11 | 27.3% | 4.00 | 12.5% | 1,234 |",
    ]
    assert len({row.count("|") for row in rows}) == 1


def test_the_network_alone_has_a_column_a_precision():
    rows = alone_table(TIMES, ["fp32"])
    assert rows[0] == "| the network alone, OpenVINO | FP32 |"
    assert rows[2:] == [
        "| literal export, median ms | 21 |",
        "| exported graph, median ms | 10 |",
        "| literal export over exported graph | 2.00 (spread 2.5%) |",
        "| brats_trt's whole job, OpenVINO, over exported graph | 1.10 (spread 2.0%) |",
        "| brats_trt's whole job, native, over exported graph | 0.65 (spread 5.1%) |",
    ]


def test_the_table_takes_its_place_between_the_markers(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("# Title\n<!-- peers -->\nold\n<!-- /peers -->\nThe end.\n")
    write_readme(readme, "new\nlines")
    assert readme.read_text() == "# Title\n<!-- peers -->\nnew\nlines\n<!-- /peers -->\nThe end.\n"


@pytest.mark.parametrize("text", ["", "<!-- peers -->", "<!-- /peers --><!-- peers -->", "<!-- peers -->" * 2])
def test_a_readme_without_its_markers_is_left_alone(tmp_path, text):
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(ValueError, match="does not have <!-- peers --> and <!-- /peers --> once each"):
        write_readme(readme, "new")
    assert readme.read_text() == text
