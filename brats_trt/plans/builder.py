"""`build_plan`: a model's file in, a plan and its manifest out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from ..backends.model import read_model
from ..errors import CaseError, EngineError
from ..files import refuse_existing, write_whole
from .cache import Source
from .compilation import Compiled, compile_plan
from .flavour import Flavour
from .golden import expect_golden
from .manifest import manifest_path, now, write_manifest
from .network import NetworkTensor
from .preparation import prepared
from .progress import Report
from .recipe import Recipe, build_command
from .records import (
    PORTABLE,
    BasicManifest,
    DeviceRecord,
    ElementType,
    Manifest,
    OnnxRecord,
    PlanRecord,
    RuntimeRecord,
    TensorRecord,
    TensorRecords,
)

GOLDEN_SEED = 0

# From the graph as it is compiled, as an ONNX file's bytes, to what FP16 costs it.
Audit = Callable[[bytes], Mapping[str, Any]]


def build_plan(
    model: Path,
    output: Path,
    flavour: Flavour,
    recipe: Recipe,
    *,
    progress: Report | None = None,
    audit: Audit | None = None,
    overwrite: bool = False,
) -> Manifest:
    """Build a plan and write it with its manifest beside it.

    Parameters
    ----------
    model
        An ONNX file. A float32 one is typed where the recipe says "fp16"; types that are there already stay.
    progress
        Told the phase and the share of the build that is done, from any thread.
    audit
        Its findings go into the manifest.
    overwrite
        Replace a plan that exists.

    Raises
    ------
    CaseError
        If the output exists without `overwrite`, is the model itself or cannot be written.
    EngineError
        If the model cannot be read or does not fit, the library lacks an option, or it fails to build.
    KeyboardInterrupt
        If Ctrl-C stopped the build.
    """
    check_output(model, output, overwrite=overwrite)
    flavour.check(recipe)
    known = read_model(model)
    device = device_record(flavour, recipe)
    content = prepared(known, recipe)
    findings = None if audit is None else audit(content)
    compiled = compile_plan(content, model, flavour, recipe, progress=progress)
    manifest = Manifest(
        **described(known, compiled, flavour, recipe, device),
        spec=known.spec,
        audit=findings,
        golden=expect_golden(known, GOLDEN_SEED),
        command=build_command(str(model), str(output), flavour.name, recipe),
        calibration=known.calibration,
    )
    write_both(output, compiled.content, manifest)
    return manifest


def check_output(model: Path, output: Path, *, overwrite: bool) -> None:
    """Refuse a place for a plan before any work is done.

    Raises
    ------
    CaseError
        If it is named .onnx, exists without `overwrite`, is the model or a folder, or its own folder is missing or
        cannot be written.
    """
    if output.suffix.lower() == ".onnx":
        raise CaseError(
            f"{output}: is the name of a model; name the plan otherwise, as in {output.with_suffix('.plan')}"
        )
    folder = output.parent
    if not folder.is_dir():
        raise CaseError(f"{output}: the folder {folder} is not there: make it, or name another output")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CaseError(f"{output}: the folder {folder} cannot be written: name another output")
    for path in (output, manifest_path(output)):
        if path.is_dir():
            raise CaseError(f"{path}: is a folder and is kept; name another output")
        if os.path.exists(path) and os.path.exists(model) and os.path.samefile(path, model):
            raise CaseError(f"{path}: is the model itself, and is kept: name another output")
        refuse_existing(path, overwrite=overwrite)


def device_record(flavour: Flavour, recipe: Recipe) -> DeviceRecord:
    """The GPUs that a plan runs on which is built now."""
    if not flavour.needs_gpu:
        return DeviceRecord(PORTABLE, flavour.targets(recipe))
    from ..backends.cupy_device import CupyDevice

    device = CupyDevice()
    return DeviceRecord(device.name, ("{}.{}".format(*device.compute_capability),))


def described(
    source: Source, compiled: Compiled, flavour: Flavour, recipe: Recipe, device: DeviceRecord
) -> dict[str, Any]:
    """Of a plan just built, the fields that every kind of manifest has, but for the command.

    Raises
    ------
    EngineError
        If the network does not take and give one tensor each.
    """
    return {
        "onnx": OnnxRecord(source.path.name, source.sha256),
        "plan": PlanRecord(hashlib.sha256(compiled.content).hexdigest(), len(compiled.content)),
        "runtime": RuntimeRecord(flavour.name, flavour.version),
        "device": device,
        "tensors": _tensors(source.path, compiled),
        "recipe": recipe,
        "created": now(),
    }


def _tensors(source: Path, compiled: Compiled) -> TensorRecords:
    network = compiled.network
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        found = [tensor.name for tensor in (*network.inputs, *network.outputs)]
        raise EngineError(f"{source}: the network has the tensors {found}; expected one input and one output")
    return TensorRecords(_record(network.inputs[0]), _record(network.outputs[0]))


def _record(tensor: NetworkTensor) -> TensorRecord:
    shape = cast("tuple[int, int, int, int, int]", tensor.shape)
    return TensorRecord(tensor.name, cast("ElementType", tensor.dtype), shape)


def write_both(output: Path, content: bytes, manifest: BasicManifest) -> None:
    """Write a plan and its manifest, or, of a new pair, neither; a reader tells an unlike pair by the plan's sha256.

    Raises
    ------
    CaseError
        If either cannot be written.
    """
    existed = output.exists()
    write_whole(output, content)
    try:
        write_manifest(output, manifest)
    except BaseException:
        if not existed:
            output.unlink(missing_ok=True)
        raise
