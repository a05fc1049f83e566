"""Where a run stands, as a file: written whole or not at all, so that a run can be stopped at any moment.

Random numbers need no state of their own: every step draws from the recipe's seed, its stage and its number.
"""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from network import Cascade
from recipe import Recipe

from brats_trt.errors import EngineError
from brats_trt.files import write_whole


@dataclass
class Progress:
    """How far a run has come.

    Attributes
    ----------
    stage, step
        The stage, and how many of its steps are done.
    seconds
        That the stage has taken, over all sessions.
    """

    stage: int = 0
    step: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Run:
    """All that changes from step to step."""

    model: Cascade
    average: dict[str, torch.Tensor]
    optimiser: torch.optim.Optimizer
    progress: Progress


def save_run(path: Path, recipe: Recipe, run: Run) -> None:
    """Write a checkpoint."""
    content = io.BytesIO()
    document = {
        "recipe": recipe.digest,
        "base": recipe.base,
        "absent": recipe.absent,
        "progress": asdict(run.progress),
        "model": run.model.state_dict(),
        "average": run.average,
        "optimiser": run.optimiser.state_dict(),
    }
    torch.save(document, content)
    write_whole(path, content.getvalue())


def load_run(path: Path, recipe: Recipe, run: Run) -> None:
    """Go on where a checkpoint was written.

    Raises
    ------
    EngineError
        If it is of another recipe.
    """
    document = _read(path)
    if document["recipe"] != recipe.digest:
        raise EngineError(
            f"{path}: was written under another recipe ({document['recipe']}, this one is {recipe.digest}): "
            "go on with the same options, or choose another folder"
        )
    run.model.load_state_dict(document["model"])
    for name, values in document["average"].items():
        run.average[name].copy_(values)
    run.optimiser.load_state_dict(document["optimiser"])
    for name, value in document["progress"].items():
        setattr(run.progress, name, value)


@dataclass(frozen=True)
class Trained:
    """What a run made: its averaged weights by MXNet's names, and whether it left out modalities."""

    weights: dict[str, torch.Tensor]
    incomplete: bool


def trained_model(path: Path) -> Trained:
    """The model that a checkpoint has.

    Raises
    ------
    EngineError
        If the file is no checkpoint.
    """
    document = _read(path)
    return Trained(document["average"], document["absent"] > 0)


def _read(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        document["average"], document["progress"], document["absent"]
    except Exception as fault:
        raise EngineError(
            f"{path}: is no checkpoint of a training run ({fault}): name the file that train.py wrote"
        ) from None
    return document
