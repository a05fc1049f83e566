"""Plans that were built on demand, kept for the next time.

A folder for each model, library, GPU and recipe; within it the plan and its manifest. It is built under another name
and renamed, so it is there whole or not at all. Who builds holds a lock on a file beside it, which the system lets go
when the process ends, however it ends. Reading needs no lock, so a cache may be read-only.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..errors import EngineError
from .compatibility import plan_fault
from .manifest import read_manifest, write_manifest
from .recipe import Recipe
from .records import SCHEMA, BasicManifest, Manifest, RuntimeIdentity

if TYPE_CHECKING:
    from ..spec import Spec

VARIABLE = "BRATS_TRT_CACHE"
_KEY_DIGITS = 16


class PlanWarning(UserWarning):
    """Something was found in the cache of plans that a run survives."""


class Source(Protocol):
    """The model of a plan."""

    @property
    def path(self) -> Path:
        """Its ONNX file."""

    @property
    def sha256(self) -> str:
        """Of that file."""

    @property
    def spec(self) -> Spec | None:
        """The preprocessing that goes into the plan's manifest."""


def cache_folder() -> Path:
    """Where plans are kept: $BRATS_TRT_CACHE, else $XDG_CACHE_HOME/brats_trt, else ~/.cache/brats_trt."""
    if own := os.environ.get(VARIABLE):
        return Path(own)
    if common := os.environ.get("XDG_CACHE_HOME"):
        return Path(common) / "brats_trt"
    return Path.home() / ".cache" / "brats_trt"


def kernels_file(manifest: BasicManifest, identity: RuntimeIdentity) -> Path:
    """Where the kernels are kept that TensorRT-RTX compiles of a plan for a GPU."""
    capability = "{}.{}".format(*identity.compute_capability)
    name = f"{manifest.plan.sha256[:_KEY_DIGITS]}-{capability}-{identity.version}.kernels"
    return cache_folder() / "kernels" / name


def cached_plan(
    model: Source,
    identity: RuntimeIdentity,
    recipe: Recipe,
    build: Callable[[Path], object],
    *,
    kind: type[BasicManifest] = Manifest,
    folder: Path | None = None,
) -> Path:
    """The plan of a model for a library and a GPU: the cache's, or built now; other processes wait meanwhile.

    Parameters
    ----------
    build
        Writes the plan to the path that it is given, and the manifest beside it.
    kind
        Of the plan's manifest.
    folder
        The cache; None is `cache_folder()`.

    Returns
    -------
    The plan's path.

    Raises
    ------
    EngineError
        If the cache cannot be written, or `build` leaves no plan with a manifest that fits.

    Warns
    -----
    PlanWarning
        If the cache's plan is damaged and is built again.
    """
    root = cache_folder() if folder is None else folder
    home = root / f"{model.path.stem}-{_key(model, identity, recipe)}"
    plan = home / f"{model.path.stem}.plan"
    with _cache_errors(root):
        found = plan.exists()
    if found and _fault(plan, kind) is None:
        return plan
    with _locked(root, home.name):
        if home.exists():
            fault = _fault(plan, kind)
            if fault is None:
                return plan
            warnings.warn(f"the cached plan is damaged and is built again ({fault})", PlanWarning, stacklevel=2)
        _build(root, plan, build, kind)
    return plan


def _build(root: Path, plan: Path, build: Callable[[Path], object], kind: type[BasicManifest]) -> None:
    """Build in a folder of another name, put it in the place of what may be there, under the lock."""
    home = plan.parent
    unfinished = root / f".{home.name}.building"
    built = unfinished / plan.name
    with _cache_errors(root):
        shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
        unfinished.mkdir()
    try:
        build(built)
        manifest = read_manifest(built, kind)
        fault = plan_fault(manifest, built)
        if fault:
            raise EngineError(f"{built}: {fault}: the build is at fault, build again")
        write_manifest(built, replace(manifest, command=manifest.command.replace(str(unfinished), str(home))))
        with _cache_errors(root):
            shutil.rmtree(home, ignore_errors=True)
            unfinished.rename(home)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _fault(plan: Path, kind: type[BasicManifest]) -> str | None:
    """What is wrong with a cached plan or its manifest."""
    try:
        return plan_fault(read_manifest(plan, kind), plan)
    except EngineError as fault:
        return str(fault)


def _key(model: Source, identity: RuntimeIdentity, recipe: Recipe) -> str:
    """Everything that makes another plan or another manifest."""
    spec = None if model.spec is None else asdict(model.spec)
    parts = [SCHEMA, model.sha256, spec, asdict(identity), recipe.to_json()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:_KEY_DIGITS]


@contextmanager
def _locked(root: Path, name: str) -> Iterator[None]:
    """Hold the lock of one plan; the file stays, since a lock on a removed file locks out nobody."""
    with _cache_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        handle = os.open(root / f".{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        with _cache_errors(root):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def _cache_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise EngineError(
            f"{root}: the cache of plans cannot be written ({fault.strerror}): set {VARIABLE} to a folder that can"
        ) from None
