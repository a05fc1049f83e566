"""HD-BET's networks as plans of TensorRT or TensorRT-RTX: built once for a GPU, kept, and checked as they are loaded.

They compute in FP32, whose convolutions TensorRT may run as TF32.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from ..backends.device import Device, DeviceEngine
from ..plans.builder import described, device_record, write_both
from ..plans.compilation import compile_plan
from ..plans.flavour import Flavour, FlavourName, load_flavour
from ..plans.loading import GpuRuntime
from ..plans.manifest import BasicManifest, read_manifest
from ..plans.recipe import Recipe
from .golden import BrainGolden, check_brain, expect_brain
from .placement import SHAPE
from .weights import BrainSource, brain_source

RECIPE = Recipe(precision="fp32")


@dataclass(frozen=True, kw_only=True)
class BrainManifest(BasicManifest):
    """What is known of a plan of one of HD-BET's networks.

    Attributes
    ----------
    golden
        A check of the plan once it is loaded.
    """

    channels = 1
    golden: BrainGolden


def build_brain_plan(source: BrainSource, output: Path, flavour: Flavour) -> BrainManifest:
    """Build a plan of a network and write it with its manifest beside it.

    Raises
    ------
    EngineError
        If the library does not take the network or fails to build, or the network fails on the CPU.
    CaseError
        If the output cannot be written.
    KeyboardInterrupt
        If Ctrl-C stopped the build.
    """
    device = device_record(flavour, RECIPE)
    compiled = compile_plan(source.path.read_bytes(), source.path, flavour, RECIPE)
    manifest = BrainManifest(
        **described(source, compiled, flavour, RECIPE, device),
        golden=expect_brain(source),
        command=f"rm -r {shlex.quote(str(output.parent))}",  # the next exam with a skull builds it then
    )
    write_both(output, compiled.content, manifest)
    return manifest


def load_brain_engine(number: int, device: Device, flavour: FlavourName, *, self_check: bool = True) -> DeviceEngine:
    """One of the networks on a device; its plan is built first where the cache has none.

    Parameters
    ----------
    flavour
        The library that builds and runs it.
    self_check
        Run the golden head and refuse an engine that does not find its brain.

    Raises
    ------
    EngineError
        If the networks or the library are not installed, or a plan cannot be built or loaded, or fails its check.

    Warns
    -----
    PlanWarning
        If a plan is built.
    """
    source = brain_source(number, SHAPE)
    runtime = GpuRuntime(flavour, device)

    def build(output: Path) -> None:
        build_brain_plan(source, output, load_flavour(flavour))

    announcement = f"{source.path.name}: building the brain's engine"
    plan = runtime.built(source, RECIPE, build, announcement, kind=BrainManifest)
    manifest = read_manifest(plan, BrainManifest)
    engine = runtime.open(plan, manifest, onnx_sha256=source.sha256)
    if self_check:
        check_brain(device, engine, manifest.golden, command=manifest.command)
    return engine
