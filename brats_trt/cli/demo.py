"""`brats-trt demo`: the main job on a phantom."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..notice import NOTICE
from .console import dice_table, stderr, stdout, timing_table, volume_table


def show_demo(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for all files.")] = Path(
        "demo-output"
    ),
) -> None:
    """Make a synthetic case, segment it with the embedded model, score it and draw it. Needs no network.

    Files of an earlier demo in the folder are replaced.
    """
    from ..demo.run import run_demo

    result = run_demo(output, say=lambda line: stderr().print(line, markup=False))
    segmentation = result.segmentation
    stdout().print(
        dice_table(result.dice),
        "",
        volume_table({segmentation.name: segmentation.volumes_ml}),
        "",
        timing_table({segmentation.name: segmentation.timings_ms}),
        "",
        f"case     {result.case}",
        f"labels   {result.labels}",
        f"picture  {result.picture}",
        f"The data are synthetic and the model knows only such. {NOTICE}",
        sep="\n",
    )
