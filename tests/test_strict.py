"""Findings on their way out: in results, on the terminal, in JSON; refused where a run is strict."""

from __future__ import annotations

import json

import heads
import nibabel
import numpy as np
import pytest
from cases import save
from models import tiny_model

from brats_trt import CaseError, CaseWarning, Segmenter

STRAIGHT = np.diag([-1.0, -1.0, 1.0, 1.0])
THICK = np.diag([-1.0, -1.0, 4.0, 1.0])
UPSIDE_DOWN = np.diag([-1.0, -1.0, -4.0, 1.0])


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


def case(affine, *, hole=False):
    volumes = {name: volume.astype(np.float32) for name, volume in heads.volumes().items()}
    if hole:
        volumes["t2"][0, 0, 0] = np.nan
    return {name: nibabel.Nifti1Image(volume, affine) for name, volume in volumes.items()}


def folder(path, affine):
    path.mkdir()
    for name, volume in heads.volumes().items():
        save(path / f"{path.name}_{name}.nii.gz", volume, affine)
    return path


def test_findings_stand_in_the_result_before_the_backends_warnings(engine):
    with pytest.warns(CaseWarning) as issued:
        result = Segmenter(engine, precision="fp32").run(case(UPSIDE_DOWN, hole=True))
    turned, thick, nan = result.warnings
    assert turned.startswith("case: the array axes run towards LPI")
    assert thick.startswith("case: the voxels measure 1 x 1 x 4 mm")
    assert "t2 has 1 NaN or infinite voxels" in nan
    assert [str(warning.message) for warning in issued] == list(result.warnings)


def test_a_finding_does_not_change_the_labels(engine):
    segmenter = Segmenter(engine, precision="fp32")
    with pytest.warns(CaseWarning, match="4 mm"):
        thick = segmenter.run(case(THICK))
    assert np.array_equal(thick.labels, segmenter.run(case(STRAIGHT)).labels)


def test_a_strict_run_refuses_and_names_all_findings(engine):
    segmenter = Segmenter(engine, precision="fp32", strict=True)
    with pytest.raises(
        CaseError, match=r"^case: refused as strict demands, for 2 findings: .* LPI.*; .* 4 mm.*"
    ) as fault:
        segmenter.run(case(UPSIDE_DOWN))
    assert "\n" not in str(fault.value)
    assert segmenter.run(case(STRAIGHT)).warnings == ()


def test_a_strict_run_refuses_what_the_backend_warns_of_too(engine):
    with pytest.raises(CaseError, match=r"for 1 finding: .*t2 has 1 NaN"):
        Segmenter(engine, precision="fp32", strict=True).run(case(STRAIGHT, hole=True))


def test_other_cases_of_a_strict_run_go_on(engine):
    segmenter = Segmenter(engine, precision="fp32", strict=True)
    first, second, third = segmenter.run_many([case(STRAIGHT), case(THICK), case(STRAIGHT)])
    assert (first.error, third.error) == (None, None)
    assert isinstance(second.error, CaseError)
    assert second.result is None


def test_the_command_line_says_what_was_found_and_goes_on(run, tmp_path, engine):
    path = folder(tmp_path / "P1", THICK)
    code, out, err = run("segment", path, "-o", tmp_path / "out", "--engine", engine, "--json")
    (told,) = json.loads(out)["cases"][0]["warnings"]
    assert code == 0
    assert told.startswith("P1: the voxels measure 1 x 1 x 4 mm")
    assert told in " ".join(err.split())
    assert (tmp_path / "out" / "P1.nii.gz").exists()


def test_the_command_line_refuses_when_it_is_strict_and_writes_nothing_of_the_case(run, tmp_path, engine):
    paths = [folder(tmp_path / "P1", UPSIDE_DOWN), folder(tmp_path / "P2", STRAIGHT)]
    given = ("-o", tmp_path / "out", "--engine", engine, "--json", "--strict")
    code, out, err = run("segment", *paths, *given)
    document = json.loads(out)
    assert code == 2
    assert [each["case"] for each in document["cases"]] == ["P2"]
    (failed,) = document["failed"]
    assert failed["error"].startswith("P1: refused as strict demands, for 2 findings: ")
    assert "refused as strict demands" in err
    assert "Traceback" not in err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["P2.nii.gz"]
