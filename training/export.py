"""A training run as files: MXNet's symbol and parameters, and the ONNX that the package's own converter makes of them.

`python training/export.py training-output/checkpoint.pt -o training-output --name demo`
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

from checkpoints import Trained, trained_model
from params_file import params_bytes
from rich.console import Console
from symbol_document import array_shapes, symbol_document

from brats_trt.errors import BratsTrtError
from brats_trt.export import convert
from brats_trt.export.precision import Precision
from brats_trt.files import make_folder, write_whole


@dataclass(frozen=True)
class Exported:
    """The three files of a model."""

    symbol: Path
    params: Path
    onnx: Path


def export(trained: Trained, folder: Path, name: str, *, precision: Precision = "fp16", size: int = 128) -> Exported:
    """Write `NAME-symbol.json`, `NAME-0000.params` and `NAME.onnx`; files of these names are replaced.

    Raises
    ------
    CaseError
        If the folder cannot be written.
    EngineError
        If the weights do not fit the precision.
    """
    make_folder(folder)
    weights = trained.weights
    base = weights["seg_onlynet128conv1sep_conv_bias"].numel() // 4
    files = Exported(folder / f"{name}-symbol.json", folder / f"{name}-0000.params", folder / f"{name}.onnx")
    write_whole(files.symbol, (json.dumps(symbol_document(base), indent=2) + "\n").encode())
    arrays = {array: weights[array].detach().float().contiguous().numpy() for array in array_shapes(base)}
    # MXNet lists the arrays in the order in which the graph reads them.
    order = [node["name"] for node in symbol_document(base)["nodes"] if node["name"] in arrays]
    write_whole(files.params, params_bytes({array: arrays[array] for array in order}))
    convert(
        files.symbol,
        files.params,
        files.onnx,
        precision=precision,
        size=size,
        incomplete=trained.incomplete,
        overwrite=True,
    )
    return files


def main(arguments: list[str] | None = None) -> int:
    """Export; 0 when it is done, 2 where the call or the input is at fault."""
    parser = argparse.ArgumentParser(description="Write a run's averaged weights as MXNet's files and as ONNX.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--name", default="demo")
    parser.add_argument("--precision", choices=("fp16", "fp32"), default="fp16")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        files = export(trained_model(options.checkpoint), options.output, options.name, precision=options.precision)
    except BratsTrtError as fault:
        console.print(f"[bold red]error:[/] {fault}", highlight=False)
        return 2
    console.print(f"{files.onnx}: {files.onnx.stat().st_size / 1e6:.1f} MB, from {files.params}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
