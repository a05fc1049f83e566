"""A model on the held-out cases, the whole way from volumes to labels: Dice by kind and size, and what it sees in none.

`python training/judge.py training-output/demo.onnx -o training-output` writes `judgement.json` and `judgement.md`.
Cases that are done are kept in `judgement.jsonl` beside the model's hash, so that the work can be stopped and go on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median

from phantoms import HELD_OUT_CASES, HeldOutCase
from rich.console import Console
from rich.progress import track

from brats_trt import Segmenter
from brats_trt.demo.phantom import Phantom
from brats_trt.errors import BratsTrtError
from brats_trt.files import file_sha256, make_folder, write_whole
from brats_trt.geometry import voxel_volume_ml
from brats_trt.metrics import STRUCTURES, dice
from brats_trt.spec import LABEL_VALUES

SIZES = ((0.0, "none"), (5.0, "under 5 ml"), (25.0, "5 to 25 ml"), (75.0, "25 to 75 ml"), (1e9, "over 75 ml"))


@dataclass(frozen=True)
class Score:
    """A case's result: Dice by structure (1 where a structure is in neither), and whole tumour in ml."""

    model: str
    name: str
    tumour: str
    image: str
    reference_ml: float
    found_ml: float
    dice: dict[str, float]


def judge(
    model: Path, kept: Path, cases: Sequence[HeldOutCase] = HELD_OUT_CASES, *, voxel_mm: float = 1.0
) -> Iterable[Score]:
    """Score each case, those that `kept` has of this model without running them again."""
    sha256 = file_sha256(model)
    done = {score.name: score for score in _read(kept) if score.model == sha256}
    segmenter = Segmenter(str(model))
    for case in cases:
        if case.name not in done:
            done[case.name] = _score(segmenter, sha256, case, case.make(voxel_mm=voxel_mm))
            with kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(done[case.name])) + "\n")
        yield done[case.name]


def _score(segmenter: Segmenter, model: str, case: HeldOutCase, phantom: Phantom) -> Score:
    labels = segmenter.run({**phantom.volumes}).labels
    voxel = voxel_volume_ml(phantom.affine)
    return Score(
        model=model,
        name=case.name,
        tumour=case.tumour,
        image=case.image,
        reference_ml=float((phantom.labels > 0).sum()) * voxel,
        found_ml=float((labels > 0).sum()) * voxel,
        dice=dice(labels, phantom.labels, label_values=LABEL_VALUES["brats"]),
    )


def _read(path: Path) -> list[Score]:
    if not path.exists():
        return []
    return [Score(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]


def report(scores: Sequence[Score]) -> str:
    """Tables in Markdown: all cases, by kind of tumour, of image and by size; what is found where nothing is."""
    with_tumour = [score for score in scores if score.reference_ml > 0]
    without = [score for score in scores if score.reference_ml == 0]
    lines = ["Dice is 1 where a structure is in neither labels nor reference.", ""]
    lines += _table("all with a tumour", [("mean", with_tumour)])
    lines += _table("median", [("median", with_tumour)], median)
    lines += _table("tumour", _groups(with_tumour, lambda score: score.tumour))
    lines += _table("image", _groups(with_tumour, lambda score: score.image))
    lines += _table("size of the whole tumour", _groups(with_tumour, _size))
    lines += ["| no tumour | found, ml |", "| --- | --- |"]
    lines += [f"| {score.name} | {score.found_ml:.2f} |" for score in without]
    return "\n".join(lines) + "\n"


def _size(score: Score) -> str:
    return next(name for limit, name in SIZES if score.reference_ml <= limit)


def _groups(scores: Sequence[Score], key: Callable[[Score], str]) -> list[tuple[str, list[Score]]]:
    names = dict.fromkeys(key(score) for score in scores)
    return [(name, [score for score in scores if key(score) == name]) for name in names]


def _table(
    title: str, rows: Sequence[tuple[str, Sequence[Score]]], centre: Callable[[list[float]], float] = fmean
) -> list[str]:
    head = f"| {title} | cases | {' | '.join(STRUCTURES)} |"
    lines = [head, "| --- " * (2 + len(STRUCTURES)) + "|"]
    for name, scores in rows:
        if scores:
            cells = [f"{centre([score.dice[structure] for score in scores]):.3f}" for structure in STRUCTURES]
            lines.append(f"| {name} | {len(scores)} | {' | '.join(cells)} |")
    return [*lines, ""]


def main(arguments: list[str] | None = None) -> int:
    """Judge; 0 when it is done, 2 where the call or the input is at fault."""
    parser = argparse.ArgumentParser(description="Score a model on the forty held-out phantoms. Resumes by itself.")
    parser.add_argument("model", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        make_folder(options.output)
        running = judge(options.model, options.output / "judgement.jsonl")
        scores = list(track(running, "held-out cases", total=len(HELD_OUT_CASES), console=console))
        write_whole(options.output / "judgement.md", report(scores).encode())
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
