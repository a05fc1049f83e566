"""`brats-trt build`: ONNX in, a TensorRT plan out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import CaseError
from ..notice import NOTICE
from .console import phase_progress, stderr

if TYPE_CHECKING:
    from ..plans.flavour import Flavour
    from ..plans.recipe import Recipe
    from ..plans.records import Manifest
    from ..plans.tuning import Trial


def build_engine(
    model: Annotated[str, typer.Argument(metavar="MODEL.onnx", help="The model, from `brats-trt convert`.")],
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="ENGINE", help="The plan; its manifest goes to ENGINE.json.")
    ],
    runtime: Annotated[
        Literal["tensorrt", "tensorrt-rtx"],
        typer.Option(help="tensorrt builds for the GPU here, tensorrt-rtx for many and without one."),
    ] = "tensorrt",
    precision: Annotated[
        Literal["fp16", "fp32"], typer.Option(help="fp16: convolutions in FP16, norms and softmax in FP32.")
    ] = "fp16",
    optimisation_level: Annotated[
        int, typer.Option(min=0, max=5, help="How long TensorRT looks for fast kernels.")
    ] = 3,
    hardware_compatible: Annotated[
        Literal["ampere_plus", "same_compute_capability"] | None,
        typer.Option(help="tensorrt: run on other GPUs too."),
    ] = None,
    capability: Annotated[
        list[str] | None,
        typer.Option(metavar="8.9", help="tensorrt-rtx: a compute capability to run on; once for each. All from 8.0."),
    ] = None,
    version_compatible: Annotated[
        bool, typer.Option("--version-compatible", help="tensorrt: run in later versions too.")
    ] = False,
    stripped: Annotated[bool, typer.Option("--stripped", help="Leave the weights out; to be refitted.")] = False,
    refittable: Annotated[bool, typer.Option("--refittable", help="Let the weights be exchanged.")] = False,
    norm: Annotated[str, typer.Option(help="native_cast, native_half or decomposed.")] = "native_cast",
    grouped: Annotated[str, typer.Option(help="Grouped convolutions: as_is, widened16, widened32 or dense.")] = "as_is",
    deconvolution: Annotated[str, typer.Option(help="as_is or pixel_shuffle.")] = "as_is",
    scale: Annotated[
        str, typer.Option(help="Values inside: as_is, quarter or sixteenth; auto is quarter in fp16, as_is in fp32.")
    ] = "auto",
    audit: Annotated[
        bool, typer.Option("--audit", help="Find out on the CPU what FP16 costs this model; refuse an overflow.")
    ] = False,
    tune: Annotated[
        bool, typer.Option("--tune", help="Build the graph's rewrites, time them on the GPU here and keep the fastest.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")] = False,
) -> None:
    """Build a plan for a GPU from an ONNX model, with a manifest beside it.

    norm, grouped, deconvolution and scale compute the same in other operations.
    """
    from ..plans.builder import build_plan
    from ..plans.flavour import load_flavour
    from ..plans.recipe import Recipe

    if not (model and output):
        raise CaseError("an empty name was given for the model or the output: is a variable of the shell unset?")
    if audit and precision != "fp16":
        raise CaseError("an audit says what FP16 costs, and precision fp32 was asked for: leave one of them out")
    if tune and stripped:
        raise CaseError("tuning runs the plans, and stripped ones hold no weights to run with: leave one of them out")
    recipe = Recipe(
        precision=precision,
        norm=norm,
        grouped=grouped,
        deconvolution=deconvolution,
        scale=scale,
        optimisation_level=optimisation_level,
        version_compatible=version_compatible,
        hardware_compatible=hardware_compatible,
        capabilities=tuple(capability or ()),
        stripped=stripped,
        refittable=refittable,
    )
    flavour = load_flavour(runtime)
    check = _audit if audit else None
    if tune:
        _tune(Path(model), Path(output), flavour, recipe, audit=check, overwrite=overwrite)
        return
    with phase_progress(f"building {output} with {flavour.title}; Ctrl-C stops it") as progress:
        manifest = build_plan(
            Path(model),
            Path(output),
            flavour,
            recipe,
            progress=progress,
            audit=check,
            overwrite=overwrite,
        )
    _report(output, manifest)


def _audit(content: bytes) -> Mapping[str, Any]:
    from ..plans.audit import audit_graph

    stderr().print("finding out on the CPU what FP16 costs", markup=False)
    return audit_graph(content)


def _tune(
    model: Path,
    output: Path,
    flavour: Flavour,
    recipe: Recipe,
    *,
    audit: Callable[[bytes], Mapping[str, Any]] | None,
    overwrite: bool,
) -> None:
    from ..backends.cupy_device import CupyDevice
    from ..backends.tensorrt import TensorRtEngine
    from ..backends.tensorrt_rtx import RtxEngine
    from ..plans.trials import tune_plan

    manifest, found = tune_plan(
        model,
        output,
        flavour,
        recipe,
        device=CupyDevice(),
        load=TensorRtEngine if flavour.needs_gpu else RtxEngine,
        audit=audit,
        overwrite=overwrite,
        say=lambda line: stderr().print(line, markup=False),
    )
    for trial in found.trials:
        typer.echo(_line(trial))
    _report(str(output), manifest)


def _line(trial: Trial[Recipe]) -> str:
    if trial.fault is not None:
        return f"out  {trial.recipe}: {trial.fault}"
    return f"{trial.median_ms:.2f} ms, {trial.speedup:.2f} x as fast, least Dice {trial.least_dice:.5f}  {trial.recipe}"


def _report(output: str, manifest: Manifest) -> None:
    device = manifest.device
    typer.echo(
        f"{output}: {manifest.recipe.precision}, {manifest.plan.nbytes / 1e6:.1f} MB, for {device.name} "
        f"(compute capability {', '.join(device.compute_capabilities)})"
    )
    typer.echo(f"sha256 {manifest.plan.sha256}")
    typer.echo(f"manifest {output}.json")
    typer.echo(NOTICE)
