"""The training itself: stages of steps, averaged weights, a log, checkpoints."""

from __future__ import annotations

import fcntl
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import torch
from checkpoints import Progress, Run, load_run, save_run
from losses import cascade_loss
from network import Cascade
from recipe import Recipe, Stage
from run_log import RunLog
from samples import Sample, samples
from validation import validate

from brats_trt.errors import EngineError
from brats_trt.files import make_folder

CHECKPOINT, LOG, GEOMETRIES = "checkpoint.pt", "log.jsonl", "geometries"
_WARM_UP = 0.05  # of a stage's steps
_LEAST_RATE = 0.05  # of the stage's rate
_BETAS = (0.9, 0.99)


@dataclass(frozen=True)
class Machine:
    """What a run may use: threads of the training, worker processes that make samples."""

    threads: int = 2
    workers: int = 1


# Told after each step: the run and the loss.
Listener = Callable[[Run, float], None]


def start_run(recipe: Recipe, weights: dict[str, torch.Tensor] | None) -> Run:
    """A run before its first step, from given weights or from random ones."""
    model = Cascade(recipe.base)
    model.initialise(recipe.seed)
    if weights is not None:
        model.load_state_dict(weights)
    for parameter in model.parameters():
        if parameter.ndim == 5:
            parameter.data = parameter.data.to(memory_format=torch.channels_last_3d)
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=1.0, betas=_BETAS)
    average = {name: values.detach().clone() for name, values in model.state_dict().items()}
    return Run(model, average, optimiser, Progress())


def train(
    recipe: Recipe,
    folder: Path,
    *,
    machine: Machine,
    weights: dict[str, torch.Tensor] | None = None,
    listen: Listener = lambda run, loss: None,
) -> Run:
    """Run a recipe to its end, from where its folder's checkpoint stands.

    Raises
    ------
    EngineError
        If the folder has a checkpoint of another recipe or another run at work, or the loss is not finite.
    """
    torch.set_num_threads(machine.threads)
    make_folder(folder)
    with _alone_in(folder):
        return _go_on(recipe, folder, machine, weights, listen)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder; the lock ends with the process, however that ends."""
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EngineError(f"{folder}: another run is at work here: wait for it, or choose another folder") from None
        yield


def _go_on(
    recipe: Recipe, folder: Path, machine: Machine, weights: dict[str, torch.Tensor] | None, listen: Listener
) -> Run:
    run, log = start_run(recipe, weights), RunLog(folder / LOG)
    if (folder / CHECKPOINT).exists():
        load_run(folder / CHECKPOINT, recipe, run)
    log.rewind(run.progress.stage, run.progress.step)
    while run.progress.stage < len(recipe.stages):
        _run_stage(recipe, folder, machine, run, log, listen)
        run.progress.stage, run.progress.step, run.progress.seconds = run.progress.stage + 1, 0, 0.0
        save_run(folder / CHECKPOINT, recipe, run)
    return run


def _run_stage(recipe: Recipe, folder: Path, machine: Machine, run: Run, log: RunLog, listen: Listener) -> None:
    """The steps of a stage that are left."""
    progress, stage = run.progress, recipe.stages[run.progress.stage]
    left = samples(recipe, progress.stage, progress.step, folder / GEOMETRIES, workers=machine.workers)
    before = monotonic()
    try:
        for sample in left:
            loss = _step(recipe, stage, run, sample)
            now = monotonic()
            progress.step, progress.seconds, before = progress.step + 1, progress.seconds + now - before, now
            entry = {"stage": progress.stage, "step": progress.step - 1, "size": stage.size, "loss": loss}
            entry["presence"] = "".join(str(int(shown)) for shown in sample.presence)
            if progress.step % recipe.validation_every == 0 or progress.step == stage.steps:
                entry |= validate(recipe, progress.stage, run.average, folder / GEOMETRIES)
            log.add(entry | {"rate": run.optimiser.param_groups[0]["lr"], "seconds": progress.seconds})
            if progress.step % recipe.checkpoint_every == 0:
                save_run(folder / CHECKPOINT, recipe, run)
            listen(run, loss)
    finally:
        left.close()


def _step(recipe: Recipe, stage: Stage, run: Run, sample: Sample) -> float:
    """One step; the loss before it."""
    progress, model = run.progress, run.model.train()
    for group in run.optimiser.param_groups:
        group["lr"] = learning_rate(stage, progress.step)
    torch.manual_seed(_dropout_seed(recipe.seed, progress))
    crop = torch.from_numpy(sample.crop).float()[None].contiguous(memory_format=torch.channels_last_3d)
    with torch.autocast("cpu", torch.bfloat16) if recipe.precision == "bf16" else nullcontext():
        logits = model(crop, torch.from_numpy(sample.presence)[None])
    loss = cascade_loss(logits, torch.from_numpy(sample.classes)[None], recipe.loss)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise EngineError(
            f"the loss is {value} at step {progress.step} of stage {stage.name}; expected a number: lower the rate"
        )
    run.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
    run.optimiser.step()
    _average(recipe, run)
    return value


def _average(recipe: Recipe, run: Run) -> None:
    """Move the averaged weights towards the present ones; at first they follow quickly, away from the random start."""
    done = run.progress.step + sum(stage.steps for stage in recipe.stages[: run.progress.stage])
    keep = min(recipe.averaging, (1 + done) / (10 + done))
    for name, values in run.model.state_dict().items():
        run.average[name].lerp_(values, 1 - keep)


def learning_rate(stage: Stage, step: int) -> float:
    """Of a step: up linearly over the first twentieth of the stage, then down a cosine to a twentieth of the rate."""
    warm = max(1, round(_WARM_UP * stage.steps))
    if step < warm:
        return stage.rate * (step + 1) / warm
    share = (step - warm) / max(1, stage.steps - warm)
    return stage.rate * (_LEAST_RATE + (1 - _LEAST_RATE) * 0.5 * (1 + math.cos(math.pi * share)))


def _dropout_seed(seed: int, progress: Progress) -> int:
    return (seed * 64 + progress.stage) * 1_000_000 + progress.step
