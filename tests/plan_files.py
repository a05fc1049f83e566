"""Plans that nothing can load, with manifests as they have to be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from brats_trt import Spec
from brats_trt.plans.manifest import (
    DeviceRecord,
    Golden,
    Manifest,
    OnnxRecord,
    PlanRecord,
    RuntimeIdentity,
    RuntimeRecord,
    TensorRecord,
    TensorRecords,
    file_sha256,
    write_manifest,
)
from brats_trt.plans.recipe import Recipe

HERE = RuntimeIdentity("tensorrt", "10.16.1.11", "NVIDIA L4", (8, 9))
SHAPE = (1, 4, 16, 16, 16)


def tensor_records(dtype="float32", shape=SHAPE, *, names=("data_crop", "softmax_lbl3")) -> TensorRecords:
    """A plan's input and output, which differ in their names."""
    return TensorRecords(TensorRecord(names[0], dtype, tuple(shape)), TensorRecord(names[1], dtype, tuple(shape)))


def make_plan(plan: Path, *, content=b"a plan", **changes) -> Manifest:
    """Write a plan of `content` and its manifest, which fits `HERE`; `changes` are fields of the manifest."""
    plan.write_bytes(content)
    manifest = Manifest(
        onnx=OnnxRecord("demo.onnx", "0123456789abcdef" * 4),
        plan=PlanRecord(file_sha256(plan), len(content)),
        runtime=RuntimeRecord(HERE.flavour, HERE.version),
        device=DeviceRecord(HERE.device_name, ("8.9",)),
        tensors=TensorRecords(TensorRecord("data_crop", "float32", SHAPE), TensorRecord("softmax", "float32", SHAPE)),
        recipe=Recipe(),
        spec=Spec(),
        audit={"least_dice": 0.9999, "worst": [{"layer": "norm1", "error": 1e-3}]},
        golden=Golden(0, Spec().modalities, ((500, 4, 5, 3),) * 8, 5e-4),
        command=f"brats-trt build demo.onnx -o {plan} --overwrite",
        created="2026-01-31T12:00:00Z",
    )
    manifest = replace(manifest, **changes)
    write_manifest(plan, manifest)
    return manifest
