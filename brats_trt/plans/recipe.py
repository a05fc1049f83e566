"""How a plan is built: every choice in one record, which its manifest keeps and a command line repeats.

Compute capabilities are written as NVIDIA's tables have them: "8.9".
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from ..errors import CaseError, EngineError

PlanPrecision = Literal["fp16", "fp32"]
HardwareLevel = Literal["ampere_plus", "same_compute_capability"]

HIGHEST_LEVEL = 5
AUTO = "auto"
_SCALES: dict[PlanPrecision, str] = {"fp16": "quarter", "fp32": "as_is"}
_VARIANTS = ("norm", "grouped", "deconvolution", "scale")
_SWITCHES = ("version_compatible", "stripped", "refittable")


@dataclass(frozen=True)
class Recipe:
    """How a plan is built.

    Attributes
    ----------
    precision
        "fp16": the typed graph, norms and softmax in float32; "fp32": everything in float32.
    norm, grouped, deconvolution
        Names of the graph's exact rewrites (`brats_trt.export.rewrites`); the defaults leave it as it is.
    scale
        The rewrite of the values' range. "auto" becomes "quarter" in fp16, whose 65504 a network passes as it is, and
        "as_is" in fp32; a recipe that is made always has the name itself.
    optimisation_level
        TensorRT's, 0 to 5: how long it looks for fast kernels.
    version_compatible
        The plan runs in later releases of TensorRT too.
    hardware_compatible
        The GPUs beside the one here that TensorRT's plan runs on: "ampere_plus" is compute capability 8.0 and later.
    capabilities
        The compute capabilities that TensorRT-RTX's plan runs on; empty is all that it offers from 8.0 on.
    stripped
        The plan holds no weights; it is refitted from the ONNX file before it runs.
    refittable
        The plan's weights can be exchanged.

    Raises
    ------
    CaseError
        If a value is not known.
    """

    precision: PlanPrecision = "fp16"
    norm: str = "native_cast"
    grouped: str = "as_is"
    deconvolution: str = "as_is"
    scale: str = AUTO
    optimisation_level: int = 3
    version_compatible: bool = False
    hardware_compatible: HardwareLevel | None = None
    capabilities: tuple[str, ...] = ()
    stripped: bool = False
    refittable: bool = False

    def __post_init__(self) -> None:
        if self.precision not in get_args(PlanPrecision):
            raise CaseError(
                f"precision {self.precision!r} is not known; expected one of {list(get_args(PlanPrecision))}"
            )
        if self.hardware_compatible is not None and self.hardware_compatible not in get_args(HardwareLevel):
            raise CaseError(
                f"hardware compatibility {self.hardware_compatible!r} is not known; expected one of "
                f"{list(get_args(HardwareLevel))}"
            )
        if not 0 <= self.optimisation_level <= HIGHEST_LEVEL:
            raise CaseError(f"optimisation level {self.optimisation_level}; expected 0 to {HIGHEST_LEVEL}")
        if self.scale == AUTO:
            object.__setattr__(self, "scale", _SCALES[self.precision])

    def __str__(self) -> str:
        return " ".join(self.options())

    @property
    def variants(self) -> dict[str, str]:
        """The name of each rewrite."""
        return {name: getattr(self, name) for name in _VARIANTS}

    @property
    def rewritten(self) -> bool:
        """Whether any rewrite changes the graph."""
        return self.variants != {**_DEFAULT.variants, "scale": "as_is"}

    def to_json(self) -> dict[str, Any]:
        """As a manifest keeps it."""
        plain = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in _VARIANTS}
        return {**plain, "capabilities": list(self.capabilities), "variants": self.variants}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Recipe:
        """What `to_json` gave.

        Raises
        ------
        EngineError
            If an entry is missing, or is not understood.
        """
        try:
            rest = {field.name: document[field.name] for field in fields(cls) if field.name not in _VARIANTS}
            variants = {name: document["variants"][name] for name in _VARIANTS}
            return cls(**{**rest, **variants, "capabilities": tuple(rest["capabilities"])})
        except (KeyError, TypeError, CaseError) as fault:
            raise EngineError(f"the plan's recipe is not readable ({fault!r}): build the plan again") from None

    def options(self) -> list[str]:
        """The options of `brats-trt build` that repeat it; other defaults than precision and scale are left out."""
        options = ["--precision", self.precision, "--scale", self.scale]
        for name in ("norm", "grouped", "deconvolution", "optimisation_level", "hardware_compatible"):
            if getattr(self, name) != getattr(_DEFAULT, name):
                options += [_flag(name), str(getattr(self, name))]
        for capability in self.capabilities:
            options += ["--capability", capability]
        return options + [_flag(name) for name in _SWITCHES if getattr(self, name)]


def build_command(model: str, output: str, runtime: str, recipe: Recipe) -> str:
    """The command line that builds a plan, for a shell."""
    words = ["brats-trt", "build", model, "-o", output, "--runtime", runtime, *recipe.options(), "--overwrite"]
    return shlex.join(words)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


_DEFAULT = Recipe()
