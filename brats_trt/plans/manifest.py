"""What is known of a plan: a JSON file beside it, `demo.plan.json` beside `demo.plan`.

A plan is opaque, runs only where its library and GPU are those that it was built for, and gives garbage or a crash
elsewhere. So everything is compared before TensorRT sees a byte of it. What the file holds stands in records,
what is compared in compatibility; both are to be had here.
"""

from __future__ import annotations

import json
import re
from dataclasses import fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from ..confidence import Calibration
from ..errors import EngineError
from ..files import write_whole
from .compatibility import check_manifest, file_sha256
from .document import FieldError, made, read_fields, read_value
from .recipe import Recipe
from .records import (
    DATE,
    PORTABLE,
    SCHEMA,
    BasicManifest,
    DeviceRecord,
    Golden,
    Manifest,
    OnnxRecord,
    PlanRecord,
    RuntimeIdentity,
    RuntimeRecord,
    TensorRecord,
    TensorRecords,
)

__all__ = [
    "PORTABLE",
    "SCHEMA",
    "BasicManifest",
    "DeviceRecord",
    "Golden",
    "Manifest",
    "OnnxRecord",
    "PlanRecord",
    "RuntimeIdentity",
    "RuntimeRecord",
    "TensorRecord",
    "TensorRecords",
    "check_manifest",
    "file_sha256",
    "manifest_path",
    "now",
    "read_manifest",
    "write_manifest",
]

ManifestT = TypeVar("ManifestT", bound=BasicManifest)

# The innermost lists of an indented document: they go on one line. No string of JSON holds a line break.
_LIST = re.compile(r"\[\n\s*([^\[\]{}]*?)\n\s*\]")


def now() -> str:
    """The time, as `Manifest.created` has it."""
    return datetime.now(timezone.utc).strftime(DATE)


def manifest_path(plan: Path) -> Path:
    """Where a plan's manifest lies."""
    return plan.with_name(f"{plan.name}.json")


def write_manifest(plan: Path, manifest: BasicManifest) -> None:
    """Write a manifest beside its plan.

    Raises
    ------
    CaseError
        If it cannot be written.
    """
    text = json.dumps(manifest.to_json(), indent=2, allow_nan=False)
    text = _LIST.sub(lambda found: f"[{' '.join(found[1].split())}]", text)
    write_whole(manifest_path(plan), f"{text}\n".encode())


def read_manifest(plan: Path, kind: type[ManifestT] = Manifest) -> ManifestT:  # type: ignore[assignment]
    """Read the manifest of a plan of one kind of network.

    Raises
    ------
    EngineError
        If there is none, it is not JSON or of another schema, or a field is missing, unknown or of another type.
    """
    path = manifest_path(plan)
    remedy = f"build the plan again with `brats-trt build MODEL.onnx -o {plan} --overwrite`"
    try:
        document = json.loads(path.read_bytes())
    except OSError as fault:
        raise EngineError(f"{path}: the plan's manifest cannot be read ({fault.strerror}): {remedy}") from None
    except (ValueError, RecursionError):
        raise EngineError(f"{path}: the plan's manifest is not JSON: {remedy}") from None
    try:
        return _read(document, kind)
    except FieldError as fault:
        raise EngineError(f"{path}: {fault}: {remedy}") from None


def _read(document: Any, kind: type[ManifestT]) -> ManifestT:
    if not isinstance(document, dict):
        raise FieldError("", "is no object")
    schema = read_value(int, document.get("schema"), "schema")
    if schema != SCHEMA:
        raise FieldError("schema", f"is {schema}; this version of brats_trt reads {SCHEMA}")
    names = tuple(field.name for field in fields(kind) if field.name != "calibration" or field.name in document)
    readers = {Recipe: _read_recipe, Calibration: _read_calibration}
    manifest: ManifestT = made(kind, read_fields(kind, document, "", names, readers), "")
    return manifest


def _read_calibration(document: Any, where: str) -> Calibration:
    try:
        return Calibration.from_document(document)
    except EngineError as fault:
        raise FieldError(where, f"does not fit: {fault}") from None


def _read_recipe(document: Any, where: str) -> Recipe:
    """A recipe, whose JSON keeps the rewrites' names apart."""
    plain = Recipe().to_json()
    variants = tuple(plain.pop("variants"))
    if not isinstance(document, dict) or "variants" not in document:
        raise FieldError(f"{where}.variants", "is missing")
    rest = {name: value for name, value in document.items() if name != "variants"}
    values = {
        **read_fields(Recipe, rest, where, tuple(plain)),
        **read_fields(Recipe, document["variants"], f"{where}.variants", variants),
    }
    recipe: Recipe = made(Recipe, values, where)
    return recipe
