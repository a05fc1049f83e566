"""A prepared graph into a plan's bytes, by TensorRT's builder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import EngineError
from .flavour import Flavour
from .interruption import Interruption
from .log import reason
from .network import NetworkSummary, ParsedNetwork
from .progress import BuildProgress, Report, monitor_for
from .recipe import Recipe


@dataclass(frozen=True)
class Compiled:
    """A plan in memory.

    Attributes
    ----------
    network
        What the parser made of the graph.
    """

    content: bytes
    network: NetworkSummary


def compile_plan(
    content: bytes, source: Path, flavour: Flavour, recipe: Recipe, *, progress: Report | None = None
) -> Compiled:
    """Build a plan of an ONNX model in memory; `source` names it in errors.

    Raises
    ------
    EngineError
        If the library does not take the model or the recipe, or fails to build.
    KeyboardInterrupt
        If Ctrl-C stopped the build, after the library has ended it.
    """
    flavour.check(recipe)
    parsed = ParsedNetwork(flavour, content, source)
    summary = parsed.summary()
    config = parsed.builder.create_builder_config()
    with flavour.log.listening() as lines, Interruption() as interruption:
        flavour.configure(config, recipe)
        watched = BuildProgress(progress, interruption.arrived)
        config.progress_monitor = monitor_for(flavour.module, watched)
        plan: Any = parsed.builder.build_serialized_network(parsed.network, config)
        if watched.failure is not None:
            raise watched.failure
        if plan is None:
            raise EngineError(
                f"{source}: {flavour.title} builds no plan ({reason(lines, 'no reason given')}): "
                f"{_remedy(flavour, recipe)}"
            )
    return Compiled(bytes(plan), summary)


def _remedy(flavour: Flavour, recipe: Recipe) -> str:
    if flavour.name == "tensorrt-rtx" and (recipe.stripped or recipe.refittable):
        return (
            "stripped and refittable plans of TensorRT-RTX are built on a machine with a GPU; leave the option out here"
        )
    return "free memory on the GPU, choose other options, or export the model again with `brats-trt convert`"
