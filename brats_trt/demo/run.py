"""The demonstration: make a phantom, write it as a case, segment it with the embedded model, score and draw it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..files import write_whole
from ..metrics import dice
from ..pictures import draw_preview
from ..pictures.png import encode_png
from ..segmentation import Segmentation
from ..segmenter import Segmenter
from ..spec import LABEL_VALUES
from . import SYNTHETIC_NOTICE, make_phantom, write_case


@dataclass(frozen=True)
class DemoResult:
    """What a demonstration left behind.

    Attributes
    ----------
    case
        The folder with the four volumes and the reference.
    labels, picture
        The files made of it.
    dice
        Of each structure, against the reference.
    """

    case: Path
    labels: Path
    picture: Path
    segmentation: Segmentation
    dice: dict[str, float]


def run_demo(output: Path, *, say: Callable[[str], None], seed: int = 0) -> DemoResult:
    """Run the demonstration; files of an earlier one in `output` are replaced.

    Raises
    ------
    CaseError
        If `output` cannot be written.
    """
    say(f"making a synthetic case in {output}")
    phantom = make_phantom(seed)
    case = write_case(phantom, output)
    say("loading the embedded model")
    segmenter = Segmenter(keep_volumes=True)
    say("segmenting")
    result = segmenter.run(case)
    labels, picture = output / f"{case.name}_labels.nii.gz", output / f"{case.name}.png"
    result.save(labels, overwrite=True)
    say("drawing")
    scores = dice(result.labels, phantom.labels, label_values=LABEL_VALUES["brats"])
    image = draw_preview(
        result,
        title=f"brats_trt demo: {case.name}",
        caption="Dice: " + ", ".join(f"{structure} {score:.3f}" for structure, score in scores.items()),
        reference=phantom.labels,
        footer=SYNTHETIC_NOTICE,
    )
    write_whole(picture, encode_png(image))
    return DemoResult(case, labels, picture, result, scores)
