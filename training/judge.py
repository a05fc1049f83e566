"""A model on the held-out cases, the whole way from volumes to labels, with all modalities and without some.

`python training/judge.py training-output/demo.onnx -o training-output` writes `judgement.json`, `judgement.md` and
`reliability.png`, which compares the Dice that the model's calibration expects with those that were found. With
`--card` the tables go into a model card too, in place of those between its markers.
Runs that are done are kept in `judgement.jsonl` beside the model's hash, so that the work can be stopped and go on.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path

import numpy as np
from judgement import into_card, report
from phantoms import HELD_OUT_CASES, HeldOutCase
from rich.console import Console
from rich.progress import track
from score import Score, ScoreFile

from brats_trt import CaseWarning, Segmenter
from brats_trt.backends.model import read_model
from brats_trt.confidence import STRUCTURES
from brats_trt.demo.phantom import Phantom
from brats_trt.errors import BratsTrtError
from brats_trt.evaluation.reliability import reliability
from brats_trt.evaluation.reliability_diagram import Wording, draw_reliability
from brats_trt.files import file_sha256, make_folder, write_whole
from brats_trt.geometry import voxel_volume_ml
from brats_trt.metrics import dice
from brats_trt.pictures.png import encode_png
from brats_trt.spec import LABEL_VALUES, MODALITIES, Modality

Absent = tuple[Modality, ...]

COMPLETE: Absent = ()
# What a case can lack: each of the 14 incomplete sets.
INCOMPLETE: tuple[Absent, ...] = tuple(absent for n in (1, 2, 3) for absent in combinations(MODALITIES, n))


def judge(
    model: Path,
    kept: Path,
    cases: Sequence[HeldOutCase],
    *,
    absences: Sequence[Absent] = (COMPLETE,),
    voxel_mm: float = 1.0,
) -> Iterator[list[Score]]:
    """Score each case without each set of modalities; what `kept` has of this model is not run again."""
    sha256, file = file_sha256(model), ScoreFile(kept)
    done = {(score.name, score.absent): score for score in file.read(sha256)}
    segmenter = Segmenter(model, missing="mask" if any(absences) else "refuse")
    for case in cases:
        left = [absent for absent in absences if (case.name, absent) not in done]
        phantom = case.make(voxel_mm=voxel_mm) if left else None
        for absent in left:
            done[case.name, absent] = _score(segmenter, sha256, case, phantom, absent)
            file.add(done[case.name, absent])
        yield [done[case.name, absent] for absent in absences]


def _score(segmenter: Segmenter, model: str, case: HeldOutCase, phantom: Phantom, absent: Absent) -> Score:
    result = segmenter.run({m: volume for m, volume in phantom.volumes.items() if m not in absent})
    labels = result.labels
    voxel = voxel_volume_ml(phantom.affine)
    return Score(
        model=model,
        name=case.name,
        tumour=case.tumour,
        image=case.image,
        absent=absent,
        reference_ml=float((phantom.labels > 0).sum()) * voxel,
        found_ml=float((labels > 0).sum()) * voxel,
        dice=dice(labels, phantom.labels, label_values=LABEL_VALUES["brats"]),
        raw=result.raw_confidence,
    )


def _draw_reliability(model: Path, scores: Sequence[Score], target: Path) -> None:
    """The Dice that the model's calibration expects of complete cases against theirs; nothing without a calibration."""
    calibration = read_model(model).calibration
    if calibration is None:
        return
    complete = [score for score in scores if not score.absent]
    expected = [calibration.expected(score.raw) for score in complete]
    tables = {}
    for name in STRUCTURES:
        pairs = [(e[name], score.dice[name.replace("_", " ")]) for e, score in zip(expected, complete, strict=True)]
        known = [(float(value), dice) for value, dice in pairs if value is not None]
        tables[name] = reliability(*(np.array(column) for column in zip(*known, strict=True)))
    caption = f"{len(complete)} held-out phantoms; calibrated on {calibration.fitted_on}"
    picture = draw_reliability(tables, Wording("Dice expected and observed", caption))
    write_whole(target, encode_png(picture))


def main(arguments: list[str] | None = None) -> int:
    """Judge; 0 when it is done, 2 where the call or the input is at fault."""
    parser = argparse.ArgumentParser(description="Score a model on the forty held-out phantoms. Resumes by itself.")
    parser.add_argument("model", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--complete", action="store_true", help="only with all four modalities")
    parser.add_argument("--card", type=Path, help="a model card whose tables are to be these")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    warnings.simplefilter("ignore", CaseWarning)  # of artefacts and modalities that are there and absent on purpose
    absences = (COMPLETE,) if options.complete else (COMPLETE, *INCOMPLETE)
    try:
        make_folder(options.output)
        card = None if options.card is None else options.card.read_text(encoding="utf-8")
        if card is not None:
            into_card(card, "")  # refused before the work, not after it
        running = judge(options.model, options.output / "judgement.jsonl", HELD_OUT_CASES, absences=absences)
        rows = track(running, "held-out cases", total=len(HELD_OUT_CASES), console=console)
        scores = [score for row in rows for score in row]
        write_whole(options.output / "judgement.md", report(scores).encode())
        if card is not None:
            write_whole(options.card, into_card(card, report(scores)).encode())
        _draw_reliability(options.model, scores, options.output / "reliability.png")
        write_whole(options.output / "judgement.json", json.dumps([asdict(s) for s in scores], indent=1).encode())
    except (BratsTrtError, OSError) as fault:
        console.print(f"[bold red]error:[/] {fault}", highlight=False)
        return 2
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on")
        return 130
    console.print(report(scores), highlight=False, markup=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
