"""The order of modalities that a model was trained with is found on labelled cases."""

from __future__ import annotations

import json
import re
import sys

import heads
import numpy as np
import pytest
from cases import save
from models import tiny_model

from brats_trt import CaseError, Segmenter, Spec, cli
from brats_trt.demo import make_phantom, write_case
from brats_trt.evaluation.order_audit import ORDERS, audit_order, find_labelled_cases
from brats_trt.metrics import STRUCTURES
from brats_trt.spec import LABEL_VALUES, MODALITIES

# `tiny_model` knows its channels by place; the first has no say, so which modality is there shows only by the others.
TRUE_ORDERS = [MODALITIES, ("t1", "flair", "t2", "t1ce"), ("t1", "t1ce", "flair", "t2"), ("t1", "t2", "flair", "t1ce")]


@pytest.fixture
def model(tmp_path):
    """A model whose spec says T1, T2, T1ce, FLAIR, whatever it was made for."""
    return tiny_model(tmp_path / "tiny.onnx", size=32)


def labelled_case(folder, model, order, *, seed=0, scheme="brats"):
    """A head with the labels that the model gives it with its channels in this order."""
    folder.mkdir(parents=True)
    volumes = heads.volumes(seed=seed)
    for name, volume in volumes.items():
        save(folder / f"{folder.name}_{name}.nii", volume)
    segmenter = Segmenter(model, spec=Spec(order), labels=scheme)
    save(folder / f"{folder.name}_seg.nii", segmenter.run(folder).labels)
    return folder


@pytest.mark.filterwarnings("ignore::brats_trt.segmenter.CaseWarning")
@pytest.mark.parametrize("order", TRUE_ORDERS, ids="-".join)
def test_the_audit_finds_the_order_that_a_model_was_made_for(tmp_path, model, order):
    for seed in range(2):
        labelled_case(tmp_path / "cases" / f"P{seed}", model, order, seed=seed)
    audit = audit_order(Segmenter(model), find_labelled_cases(tmp_path / "cases"))
    assert audit.cases == ("P0", "P1")
    assert {score.modalities for score in audit.ranking} == set(ORDERS)
    assert len(audit.ranking) == 24
    best, second = audit.ranking[:2]
    assert best.modalities == order
    assert best.mean > 0.99
    assert second.mean < 0.98
    assert audit.stored == MODALITIES
    assert (audit.rank_of_stored == 1) == (order == MODALITIES)
    assert [score.mean for score in audit.ranking] == sorted((score.mean for score in audit.ranking), reverse=True)


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["brats-trt", "evaluate", "--audit-order", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return end.value.code or 0, captured.out, captured.err

    return call


@pytest.mark.filterwarnings("ignore::brats_trt.segmenter.CaseWarning")
def test_the_command_ranks_all_orders_and_says_where_the_models_own_stands(run, tmp_path, model):
    order = ("t1", "t2", "flair", "t1ce")
    for name in ("P1", "P2"):
        labelled_case(tmp_path / "cases" / name, model, order)
    code, out, err = run(tmp_path / "cases", "--engine", model, "--limit", "1", "--json", tmp_path / "a.json")
    assert code == 0, err
    assert re.search(r"^ 1 t1, t2, flair, t1ce +1\.0000", out, re.MULTILINE)
    assert re.search(r"^ ?\d+ t1, t2, t1ce, flair \* ", out, re.MULTILINE)
    assert "the best is t1, t2, flair, t1ce" in out
    assert "1 of 2 labelled cases: P1" in out
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["ranking"][0]["modalities"] == list(order)
    assert set(document["ranking"][0]["dice"]) == {structure.replace(" ", "_") for structure in STRUCTURES}
    assert document["stored"]["modalities"] == list(MODALITIES)
    assert document["stored"]["rank"] > 1
    assert document["cases"] == ["P1"]


def test_decathlon_cases_are_audited_with_their_references_elsewhere(run, tmp_path, model):
    volumes = heads.volumes()
    images, labels = tmp_path / "imagesTr", tmp_path / "labelsTr"
    images.mkdir()
    labels.mkdir()
    save(images / "BRATS_001.nii.gz", np.stack([volumes[name] for name in ("flair", "t1", "t1ce", "t2")], axis=3))
    found = Segmenter(model, labels="msd").run(volumes).labels
    for name in ("BRATS_001", "BRATS_002"):
        save(labels / f"{name}.nii.gz", found)
    for arguments in ((images, labels), (images / "BRATS_001.nii.gz", labels / "BRATS_001.nii.gz")):
        code, out, err = run(*arguments, "--engine", model, "--labels", "msd")
        assert code == 0, err
        assert "the order in the model's spec, t1, t2, t1ce, flair, is the best of 24" in out
        assert "1 of 1 labelled cases: BRATS_001" in out


def test_cases_without_references_and_references_of_another_grid_are_refused(run, tmp_path, model):
    case = labelled_case(tmp_path / "cases" / "P1", model, MODALITIES)
    save(case / "P1_seg.nii", np.zeros((40, 44, 35), np.uint8))
    outcome = run(tmp_path / "cases", "--engine", model)
    assert outcome[0] == 2
    assert "the reference is not on the grid of its case" in outcome[2]
    (case / "P1_seg.nii").unlink()
    assert "no label map" in run(tmp_path / "cases", "--engine", model)[2]
    save(case / "P1_seg.nii", np.zeros(heads.SHAPE, np.uint8), np.eye(4))
    with pytest.raises(CaseError, match="or another affine"):
        audit_order(Segmenter(model), find_labelled_cases(case))
    elsewhere = tmp_path / "labels"
    elsewhere.mkdir()
    save(elsewhere / "Q.nii", np.zeros(heads.SHAPE, np.uint8))
    with pytest.raises(CaseError, match=r"no case of a reference in .*labels \(Q\)"):
        find_labelled_cases(tmp_path / "cases", elsewhere)


def test_the_demo_models_order_is_found(tmp_path):
    case = write_case(make_phantom(0, (120, 120, 78)), tmp_path)
    segmenter = Segmenter(keep_probabilities=False)
    audit = audit_order(segmenter, find_labelled_cases(case))
    assert audit.ranking[0].modalities == ("t1", "t2", "t1ce", "flair")
    assert audit.rank_of_stored == 1
    assert audit.ranking[0].mean > 0.9
    # It learnt from random contrasts, so that T1, T2 and FLAIR nearly stand for each other; T1ce does not.
    assert audit.ranking[0].mean - audit.ranking[1].mean > 0.01
    assert {order.modalities[2] for order in audit.ranking[:6]} == {"t1ce"}
    assert audit.ranking[5].mean - audit.ranking[6].mean > 0.2
    assert min(audit.ranking[0].dice.values()) > 0.85
    assert LABEL_VALUES["brats"] == (0, 1, 2, 4), "what the segmenter writes"
