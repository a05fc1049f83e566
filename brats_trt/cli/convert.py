"""`brats-trt convert`: an MXNet checkpoint in, ONNX out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..notice import NOTICE


def convert_checkpoint(
    symbol: Annotated[Path, typer.Argument(metavar="SYMBOL.json", help="The network, as MXNet writes it.")],
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS.params", help="Its arrays.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="MODEL.onnx", help="Where to write the model.")],
    precision: Annotated[
        Literal["fp32", "fp16"], typer.Option(help="fp16: FP16 weights and convolutions, norms and softmax in FP32.")
    ] = "fp32",
    size: Annotated[int, typer.Option(help="Voxels of the crop along each axis.")] = 128,
    io: Annotated[
        Literal["float32", "float16"], typer.Option(help="Type of the input and output tensors.")
    ] = "float32",
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Mark it as trained with modalities left out, for --missing mask.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")] = False,
) -> None:
    """Convert an MXNet checkpoint to ONNX, without MXNet."""
    from .. import export

    report = export.convert(
        symbol,
        weights,
        output,
        precision=precision,
        size=size,
        io=io,
        incomplete=incomplete,
        overwrite=overwrite,
    )
    origin = "the released brain-tumor-segmentation-0001" if report.released else "not a released file"
    typer.echo(f"{report.output}: {report.parameters:,} parameters, {report.precision} ({origin})")
    typer.echo(f"sha256 {report.sha256}")
    for note in report.notes:
        typer.echo(note)
    typer.echo(NOTICE)
