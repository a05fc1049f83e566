"""Whether a plan may be loaded here, judged from its manifest before TensorRT sees it."""

from __future__ import annotations

from pathlib import Path

from .. import files
from ..errors import EngineError
from .recipe import Recipe
from .records import BasicManifest, RuntimeIdentity

_AMPERE = (8, 0)
# A library tells its major, minor and patch number; the Python module adds that of the build, which binds no plan.
_TOLD = 3


def check_manifest(
    manifest: BasicManifest, plan: Path, runtime: RuntimeIdentity, *, onnx_sha256: str | None = None
) -> None:
    """Compare a manifest with the plan's file, the library and the GPU here, and the model's file where it is given.

    Raises
    ------
    EngineError
        On the first that differs: the plan's bytes, flavour, version, device, model. Names both sides and the command
        that builds the plan again.
    """
    fault = (
        plan_fault(manifest, plan)
        or _flavour_fault(manifest, runtime)
        or _version_fault(manifest, runtime)
        or _device_fault(manifest, runtime)
        or _model_fault(manifest, onnx_sha256)
    )
    if fault:
        raise EngineError(f"{plan}: {fault}; build it again: `{manifest.command}`")


def plan_fault(manifest: BasicManifest, plan: Path) -> str | None:
    """What is wrong with the plan's bytes."""
    try:
        nbytes = plan.stat().st_size
    except OSError as fault:
        return f"the plan cannot be read ({fault.strerror}), but its manifest is there"
    if nbytes != manifest.plan.nbytes:
        return f"the plan has {nbytes} bytes, its manifest says {manifest.plan.nbytes}"
    sha256 = file_sha256(plan)
    if sha256 != manifest.plan.sha256:
        return f"the plan's sha256 is {sha256}, its manifest says {manifest.plan.sha256}"
    return None


def file_sha256(path: Path) -> str:
    """The sha256 of a file, read in pieces.

    Raises
    ------
    EngineError
        If it cannot be read.
    """
    try:
        return files.file_sha256(path)
    except OSError as fault:
        raise EngineError(f"{path}: the file cannot be read ({fault.strerror})") from None


def _flavour_fault(manifest: BasicManifest, runtime: RuntimeIdentity) -> str | None:
    built = manifest.runtime.flavour
    return None if built == runtime.flavour else f"the plan is one of {built}, the runtime here is {runtime.flavour}"


def _version_fault(manifest: BasicManifest, runtime: RuntimeIdentity) -> str | None:
    built, here = _release(manifest.runtime.version), _release(runtime.version)
    if runtime.flavour == "tensorrt-rtx":
        fits, rule = built[:2] == here[:2], "the same major and minor version"
    elif manifest.recipe.version_compatible:
        fits, rule = built[:1] == here[:1] and built <= here, "the same major version and not an older one"
    else:
        fits, rule = built == here, "the same version"
    if fits:
        return None
    return (
        f"the plan was built by {runtime.flavour} {manifest.runtime.version} and runs in {rule}, here is "
        f"{runtime.version}"
    )


def _device_fault(manifest: BasicManifest, runtime: RuntimeIdentity) -> str | None:
    here = "{}.{}".format(*runtime.compute_capability)
    known = manifest.device.compute_capabilities
    if here in known or (_reaches(manifest.recipe) and runtime.compute_capability >= _AMPERE):
        return None
    reach = ", ".join(known) + (" and any from 8.0 on" if _reaches(manifest.recipe) else "")
    return (
        f"the plan was built for {manifest.device.name} (compute capability {reach}), here is {runtime.device_name} "
        f"(compute capability {here})"
    )


def _reaches(recipe: Recipe) -> bool:
    return recipe.hardware_compatible == "ampere_plus"


def _model_fault(manifest: BasicManifest, onnx_sha256: str | None) -> str | None:
    if onnx_sha256 in (None, manifest.onnx.sha256):
        return None
    return (
        f"the plan was built from {manifest.onnx.name} of sha256 {manifest.onnx.sha256}, the model here has "
        f"{onnx_sha256}"
    )


def _release(version: str) -> tuple[int, ...]:
    """Major, minor and patch of a version, as far as they are numbers."""
    numbers = []
    for part in version.split(".")[:_TOLD]:
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)
