"""Training runs: losses, augmentation, samples, runs that are stopped and go on, what comes out at the end."""

from __future__ import annotations

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the training needs PyTorch: pip install '.[train]'")

import calibrate  # noqa: E402
import checkpoints  # noqa: E402
import export as export_module  # noqa: E402
import judge  # noqa: E402
import train as train_module  # noqa: E402
from augmentation import Augmentation, augment  # noqa: E402
from curves import draw_curves  # noqa: E402
from judgement import MARKERS, report  # noqa: E402
from loop import CHECKPOINT, LOG, Machine, learning_rate, start_run, train  # noqa: E402
from losses import LossWeights, cascade_loss, overlap_loss  # noqa: E402
from network import Logits  # noqa: E402
from params_file import params_bytes, read_weights  # noqa: E402
from phantoms import CALIBRATION_CASES, HELD_OUT_CASES, HeldOutCase, TrainingCrop  # noqa: E402
from recipe import RECIPES, Recipe, Stage  # noqa: E402
from run_log import RunLog  # noqa: E402
from samples import SETS, make_sample, samples, validation_crop  # noqa: E402

from brats_trt import demo_model  # noqa: E402
from brats_trt.backends.model import read_model  # noqa: E402
from brats_trt.confidence import STRUCTURES, RawScore  # noqa: E402
from brats_trt.errors import EngineError  # noqa: E402
from brats_trt.spec import MODALITIES  # noqa: E402

STAGES = (
    Stage("a", size=32, voxel_mm=6.0, steps=3, rate=2e-3, geometries=2),
    Stage("b", size=32, voxel_mm=6.0, steps=2, rate=1e-3, geometries=2),
)
TINY = Recipe(
    "tiny", STAGES, base=1, precision="fp32", absent=0.5, validation_every=2, validation_cases=1, checkpoint_every=2
)
ALONE = Machine(threads=1, workers=0)


@pytest.fixture(autouse=True)
def threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that nobody stopped, and its folder."""
    folder = tmp_path_factory.mktemp("finished")
    return train(TINY, folder, machine=ALONE), folder


class StoppedError(Exception):
    """Raised in the midst of a run."""


def stop_at(stage, step):
    def listen(run, loss):
        if (run.progress.stage, run.progress.step) == (stage, step):
            raise StoppedError

    return listen


def steps_of(folder):
    """The log less the times."""
    return [{k: v for k, v in entry.items() if k != "seconds"} for entry in RunLog(folder / LOG).read()]


def assert_same_run(first, second):
    for name, values in first.model.state_dict().items():
        assert torch.equal(values, second.model.state_dict()[name]), name
        assert torch.equal(first.average[name], second.average[name]), name


@pytest.mark.parametrize("where", [(0, 1), (0, 3)])
def test_a_run_that_is_stopped_goes_on_bit_for_bit(finished, tmp_path, where):
    with pytest.raises(StoppedError):
        train(TINY, tmp_path, machine=ALONE, listen=stop_at(*where))
    again = train(TINY, tmp_path, machine=ALONE)
    assert_same_run(again, finished[0])
    assert steps_of(tmp_path) == steps_of(finished[1])


def test_a_run_that_is_stopped_twice_goes_on_bit_for_bit(finished, tmp_path):
    for where in ((0, 2), (1, 1)):
        with pytest.raises(StoppedError):
            train(TINY, tmp_path, machine=ALONE, listen=stop_at(*where))
    assert_same_run(train(TINY, tmp_path, machine=ALONE), finished[0])


def test_a_stop_while_the_checkpoint_is_written_keeps_the_last_one(finished, tmp_path, monkeypatch):
    with pytest.raises(StoppedError):
        train(TINY, tmp_path, machine=ALONE, listen=stop_at(0, 3))
    before = (tmp_path / CHECKPOINT).read_bytes()

    def cut_off(document, target):
        target.write(b"half a checkpoint")
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.torch, "save", cut_off)
        with pytest.raises(StoppedError):
            train(TINY, tmp_path, machine=ALONE)
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert_same_run(train(TINY, tmp_path, machine=ALONE), finished[0])


def test_a_line_of_the_log_that_was_cut_off_is_passed_over(tmp_path):
    log = RunLog(tmp_path / LOG)
    for step in range(3):
        log.add({"stage": 0, "step": step, "loss": float("nan")})
    with log.path.open("a") as file:
        file.write('{"stage": 0, "st')
    log.rewind(0, 2)
    assert log.read() == [{"stage": 0, "step": step, "loss": None} for step in range(2)]


def test_another_recipe_is_refused(finished):
    with pytest.raises(EngineError, match="was written under another recipe"):
        train(replace(TINY, seed=1), finished[1], machine=ALONE)


def test_two_runs_do_not_share_a_folder(tmp_path):
    def listen(run, loss):
        with pytest.raises(EngineError, match="another run is at work here"):
            train(TINY, tmp_path, machine=ALONE)

    assert train(TINY, tmp_path, machine=ALONE, listen=listen).progress.stage == len(STAGES)
    train(TINY, tmp_path, machine=ALONE)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"no checkpoint")
    with pytest.raises(EngineError, match="is no checkpoint of a training run"):
        checkpoints.trained_model(tmp_path / "x.pt")


def test_the_log_has_every_step_and_the_validations(finished):
    entries = steps_of(finished[1])
    assert [(entry["stage"], entry["step"]) for entry in entries] == [(0, k) for k in range(3)] + [
        (1, k) for k in range(2)
    ]
    assert [("whole tumour" in entry) for entry in entries] == [False, True, True, False, True]
    assert {len(entry["presence"]) for entry in entries} == {4}


def test_a_worker_makes_the_samples_that_the_process_itself_makes(finished):
    folder = finished[1] / "geometries"
    for made, alone in zip(samples(TINY, 0, 1, folder, workers=1), samples(TINY, 0, 1, folder, workers=0), strict=True):
        assert np.array_equal(made.crop, alone.crop)
        assert np.array_equal(made.classes, alone.classes)
        assert np.array_equal(made.presence, alone.presence)


def test_samples_lack_modalities_as_often_as_asked(finished):
    folder = finished[1] / "geometries"
    for absent, complete in ((0.0, True), (1.0, False)):
        recipe = replace(TINY, absent=absent)
        shown = [make_sample(recipe, 0, step, folder).presence for step in range(3)]
        assert all(bool(presence.all()) == complete and presence.any() for presence in shown)
    assert len(set(SETS)) == 15
    assert all(any(chosen) for chosen in SETS)


def test_validation_cases_are_of_other_heads(finished):
    folder = finished[1] / "geometries"
    made = validation_crop(TINY, 0, 0, folder)
    assert all(not np.array_equal(make_sample(TINY, 0, step, folder).classes, made.classes) for step in range(3))


def test_the_learning_rate_rises_and_falls():
    stage = replace(STAGES[0], steps=100, rate=1.0)
    rates = [learning_rate(stage, step) for step in range(100)]
    assert rates.index(max(rates)) == 4
    assert max(rates) == 1.0
    assert rates[5:] == sorted(set(rates[5:]), reverse=True)
    assert 0.05 <= rates[-1] < 0.06


def test_a_run_can_start_from_a_published_checkpoint(tmp_path):
    start = start_run(replace(TINY, seed=9), None)
    path = tmp_path / "x.params"
    path.write_bytes(params_bytes({name: values.numpy() for name, values in start.model.state_dict().items()}))
    weights, base = read_weights(path)
    assert base == 1
    assert_same_run(start_run(TINY, weights), start)


def members(classes):
    return torch.nn.functional.one_hot(classes, 4).movedim(-1, 1).float()


def test_the_overlap_is_the_authors_formula():
    generator = torch.Generator().manual_seed(0)
    softmax = torch.softmax(torch.randn(2, 4, 4, 4, 4, generator=generator), 1)
    reference = members(torch.randint(0, 4, (2, 4, 4, 4), generator=generator))
    p, q = softmax.double().numpy(), reference.double().numpy()
    scores = [
        (2 * (p[b, c] * q[b, c]).sum() + 1) / ((p[b, c] ** 2).sum() + q[b, c].sum() + 1)
        for b in range(2)
        for c in (1, 2, 3)
    ]
    assert float(overlap_loss(softmax, reference)) == pytest.approx(1 - np.mean(scores), abs=1e-6)


def logits_of(classes, sharpness):
    scales = [torch.nn.functional.avg_pool3d(members(classes), factor) * sharpness for factor in (4, 2, 1)]
    return Logits(*scales)


def test_the_truth_costs_nothing_and_the_scales_weigh_what_the_authors_say():
    classes = torch.zeros(1, 32, 32, 32, dtype=torch.long)
    classes[:, 8:24, 8:24, 8:24] = 2
    right, wrong = logits_of(classes, 100.0), logits_of((classes == 0) * 3, 100.0)
    only = LossWeights(cross_entropy=0.0)
    assert float(cascade_loss(right, classes, LossWeights())) == pytest.approx(0, abs=1e-4)
    for name, weight in (("full", 0.4), ("half", 0.3), ("quarter", 0.2)):
        mixed = Logits(**{n: getattr(wrong if n == name else right, n) for n in ("quarter", "half", "full")})
        # Of the three classes two are wrong: 2 is not found, and 3 is where it is not.
        assert float(cascade_loss(mixed, classes, only)) == pytest.approx(weight * 2 / 3, rel=0.01)


def random_crop(seed=0, size=32):
    rng = np.random.default_rng(seed)
    classes = np.zeros((size,) * 3, np.uint8)
    classes[6:20, 9:25, 8:22] = 3
    crop = rng.uniform(0, 0.1, (4, size, size, size)).astype(np.float32)
    crop[0] = classes / 3
    return TrainingCrop(crop, classes)


def test_without_chances_a_crop_is_left_as_it_is():
    sample = random_crop()
    found = augment(np.random.default_rng(0), sample, Augmentation(flip=0, noise=0, warp=0))
    assert np.array_equal(found.crop, sample.crop)
    assert np.array_equal(found.classes, sample.classes)


def test_flips_are_along_the_first_two_axes():
    sample = random_crop()
    found = augment(np.random.default_rng(0), sample, Augmentation(flip=1, noise=0, warp=0))
    assert np.array_equal(found.crop, sample.crop[:, ::-1, ::-1])
    assert np.array_equal(found.classes, sample.classes[::-1, ::-1])


def test_noise_takes_a_modalitys_place():
    found = augment(np.random.default_rng(0), random_crop(), Augmentation(flip=0, noise=1, warp=0))
    assert np.allclose(found.crop.mean(axis=(1, 2, 3)), 0, atol=0.03)
    assert np.allclose(found.crop.std(axis=(1, 2, 3)), 1, atol=0.03)


def test_a_warp_moves_images_and_classes_together():
    sample = random_crop()
    found = augment(np.random.default_rng(3), sample, Augmentation(flip=0, noise=0, warp=1))
    assert not np.array_equal(found.classes, sample.classes)
    assert set(np.unique(found.classes)) == {0, 3}
    assert ((found.crop[0] > 0.5) != (found.classes == 3)).mean() < 0.01
    assert np.array_equal(sample.classes, random_crop().classes), "the sample itself is kept"


def test_the_curves_are_drawn(finished):
    picture = draw_curves(RunLog(finished[1] / LOG).read(), ["a", "b"], "tiny")
    assert len(picture.getcolors(picture.width * picture.height)) > 20
    with pytest.raises(ValueError, match="no step to draw"):
        draw_curves([], [], "none")


def test_the_commands_train_and_export(tmp_path, monkeypatch):
    monkeypatch.setitem(RECIPES, "smoke", replace(TINY, stages=(replace(STAGES[0], steps=2),)))
    call = ["--recipe", "smoke", "-o", str(tmp_path), "--threads", "1", "--workers", "0", "--seed", "4"]
    assert train_module.main(call) == 0
    assert (tmp_path / "curves.png").exists()
    assert train_module.main([*call[:-1], "5"]) == 2, "another seed is another recipe"
    target = ["-o", str(tmp_path), "--name", "x", "--precision", "fp32"]
    assert export_module.main([str(tmp_path / CHECKPOINT), *target]) == 0
    weights, _ = read_weights(tmp_path / "x-0000.params")
    kept = checkpoints.trained_model(tmp_path / CHECKPOINT).weights
    assert all(torch.equal(weights[name], kept[name]) for name in kept)
    assert read_model(tmp_path / "x.onnx").takes_incomplete
    assert export_module.main([str(tmp_path / "x.onnx"), *target]) == 2


@pytest.fixture
def blind(monkeypatch):
    """A model that finds nothing; what it was given."""
    runs = []

    class Blind:
        def __init__(self, model, **options):
            pass

        def run(self, volumes):
            runs.append(tuple(volumes))
            labels = np.zeros_like(next(iter(volumes.values())), np.uint8)
            return SimpleNamespace(labels=labels, raw_confidence=dict.fromkeys(STRUCTURES, RawScore(0.75, found=False)))

    monkeypatch.setattr(judge, "Segmenter", Blind)
    return runs


CASES = [case for case in HELD_OUT_CASES if case.tumour in ("none", "ring")][:4]  # the last has no tumour


def test_judging_goes_on_where_it_was_stopped(tmp_path, blind):
    model, kept = tmp_path / "x.onnx", tmp_path / "kept.jsonl"
    model.write_bytes(b"a model")
    absences = (judge.COMPLETE, ("t1", "flair"))
    for number in (1, 4):
        rows = list(judge.judge(model, kept, CASES[:number], absences=absences, voxel_mm=6.0))
    with kept.open("a") as file:
        file.write('{"model": "cut o')
    assert blind == [MODALITIES, ("t2", "t1ce")] * 4
    assert list(judge.judge(model, kept, CASES, absences=absences, voxel_mm=6.0)) == rows
    assert len(blind) == 8, "all of them were kept"
    model.write_bytes(b"another model")
    assert list(judge.judge(model, kept, CASES[:1], voxel_mm=6.0)) != [rows[0][:1]]
    assert len(blind) == 9


def test_a_model_is_calibrated_on_other_cases_than_it_is_judged_by(tmp_path, blind, monkeypatch):
    assert not set(CALIBRATION_CASES) & set(HELD_OUT_CASES)
    assert not {case.seed for case in CALIBRATION_CASES} & {case.seed for case in HELD_OUT_CASES}
    assert {case.tumour for case in CALIBRATION_CASES} == {case.tumour for case in HELD_OUT_CASES}
    cases = [HeldOutCase(tumour, "typical", seed) for seed, tumour in enumerate(("ring", "none", "none", "none"))]
    monkeypatch.setattr(calibrate, "CALIBRATION_CASES", cases)
    make = HeldOutCase.make
    monkeypatch.setattr(HeldOutCase, "make", lambda case, voxel_mm: make(case, voxel_mm=6 * voxel_mm))
    source, target = tmp_path / "x.onnx", tmp_path / "y.onnx"
    shutil.copy(demo_model(), source)
    assert calibrate.main([str(source), "-o", str(target)]) == 0
    # Nothing is found, which is right in three of four cases.
    found = read_model(target).calibration.expected(dict.fromkeys(STRUCTURES, RawScore(0.75, found=False)))
    assert set(found.values()) == {0.75}
    assert read_model(source).calibration == read_model(demo_model()).calibration, "the source is as it was"
    monkeypatch.setattr(judge, "HELD_OUT_CASES", cases)
    card = tmp_path / "card.md"
    card.write_text("# Card\n", encoding="utf-8")
    command = [str(target), "-o", str(tmp_path), "--complete", "--card", str(card)]
    assert judge.main(command) == 2, "there is no place in it"
    card.write_text("# Card\n{}old\n{}after\n".format(*MARKERS), encoding="utf-8")
    assert judge.main(command) == 0
    assert "old" not in card.read_text()
    assert card.read_text().endswith(f"\n{MARKERS[1]}after\n")
    assert (tmp_path / "judgement.md").read_text() in card.read_text()
    assert {"judgement.md", "judgement.json", "reliability.png"} <= {path.name for path in tmp_path.iterdir()}
    assert calibrate.main([str(tmp_path / "none.onnx"), "-o", str(target)]) == 2


def test_what_is_judged_is_told_by_kind_and_by_what_was_given(tmp_path, blind):
    (tmp_path / "x.onnx").write_bytes(b"a model")
    absences = (judge.COMPLETE, *judge.INCOMPLETE[:6])
    rows = judge.judge(tmp_path / "x.onnx", tmp_path / "kept.jsonl", CASES, absences=absences, voxel_mm=6.0)
    scores = [score for row in rows for score in row]
    assert all(score.found_ml == 0 for score in scores)
    assert {score.dice["whole tumour"] for score in scores} == {0.0, 1.0}
    text = report(scores)
    number = sum(case.tumour == "ring" for case in CASES)
    assert f"| ring | {number} | 0.000 | 0.000 | 0.000 |" in text
    assert f"| {CASES[-1].name} | 0.00 |" in text
    assert "| t2, t1ce, flair | 0.000 | 0.000 |" in text
    assert text.index("| t2, t1ce, flair |") < text.index("| t1ce, flair |")
    assert len(judge.INCOMPLETE) == len(set(judge.INCOMPLETE)) == 14
