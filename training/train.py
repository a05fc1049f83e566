"""Train the cascade on phantoms: `python training/train.py --recipe demo -o training-output`.

A run goes on where its folder's checkpoint stands; Ctrl-C, or the end of the machine, costs the steps since then.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from checkpoints import Run
from curves import draw_curves
from loop import LOG, Machine, train
from params_file import read_weights
from recipe import RECIPES, Recipe
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from run_log import RunLog

from brats_trt.errors import BratsTrtError
from brats_trt.files import write_whole
from brats_trt.pictures.png import encode_png

CURVES = "curves.png"


def main(arguments: list[str] | None = None) -> int:
    """Train; 0 when it is done, 2 where the call or the input is at fault."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    try:
        recipe, weights = _recipe(options)
        _train(recipe, options, weights, console)
    except BratsTrtError as fault:
        console.print(f"[bold red]error:[/] {fault}", highlight=False)
        return 2
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on from the last checkpoint")
        return 130
    entries = RunLog(options.output / LOG).read()
    picture = draw_curves(entries, [stage.name for stage in recipe.stages], f"{recipe.name}, seed {recipe.seed}")
    write_whole(options.output / CURVES, encode_png(picture))
    console.print(f"done: {options.output}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Train the cascade on synthetic phantoms. Resumes by itself.")
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="demo")
    parser.add_argument("-o", "--output", type=Path, default=Path("training-output"), help="the run's folder")
    parser.add_argument("--seed", type=int, help="in place of the recipe's")
    parser.add_argument("--base", type=int, help="base width F, in place of the recipe's")
    parser.add_argument("--precision", choices=("bf16", "fp32"), help="in place of the recipe's")
    parser.add_argument(
        "--absent", type=float, help="share of cases with modalities left out, in place of the recipe's"
    )
    parser.add_argument("--from-params", type=Path, help="an MXNet checkpoint (.params) to start from")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="of the training")
    parser.add_argument("--workers", type=int, default=1, help="processes that make samples; 0 for none")
    return parser


def _recipe(options: argparse.Namespace) -> tuple[Recipe, dict[str, Any] | None]:
    """The recipe with what the call changes in it, and the weights to start from."""
    given = {name: getattr(options, name) for name in ("seed", "base", "precision", "absent")}
    changes = {name: value for name, value in given.items() if value is not None}
    weights = None
    if options.from_params is not None:
        weights, base = read_weights(options.from_params)
        if changes.setdefault("base", base) != base:
            raise BratsTrtError(f"{options.from_params}: has the base width {base}, --base says {changes['base']}")
    return replace(RECIPES[options.recipe], **changes), weights


def _train(recipe: Recipe, options: argparse.Namespace, weights: dict[str, Any] | None, console: Console) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    machine = Machine(threads=options.threads, workers=options.workers)
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("training", total=recipe.steps)

        def listen(run: Run, loss: float) -> None:
            stage = recipe.stages[run.progress.stage]
            done = sum(earlier.steps for earlier in recipe.stages[: run.progress.stage]) + run.progress.step
            bar.update(task, completed=done, description=f"stage {stage.name}, loss {loss:.3f}")

        train(recipe, options.output, machine=machine, weights=weights, listen=listen)


if __name__ == "__main__":
    raise SystemExit(main())
