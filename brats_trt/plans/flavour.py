"""TensorRT and TensorRT-RTX: the only module that imports them, and the place where their differences stand.

Their Python interfaces agree almost name for name. Where they do not:

=====================  ==================================  =====================================
.                      "tensorrt" (10.14 on, 11)           "tensorrt-rtx" (1.7 on)
=====================  ==================================  =====================================
building needs a GPU   yes, and the plan is for its kind   no, unless stripped or refittable
strong typing          asked for on 10, the rule on 11     the rule
other GPUs             hardware compatibility level        compute capabilities to target
later releases         version-compatible plans            none: its lean runtime is not shipped
=====================  ==================================  =====================================

What a library does not have is refused, never left out quietly. A timing cache is never made: with one, TensorRT-RTX
looks for a GPU.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, get_args

from ..errors import CaseError, EngineError
from .log import Log, log_of
from .recipe import Recipe

FlavourName = Literal["tensorrt", "tensorrt-rtx"]

FLAVOURS: tuple[FlavourName, ...] = get_args(FlavourName)
INSTALL: dict[FlavourName, str] = {
    "tensorrt": "pip install 'tensorrt-cu13>=10.14,<11' (or tensorrt-cu12 for CUDA 12)",
    "tensorrt-rtx": "pip install 'tensorrt-rtx-cu13>=1.7'",
}
_MODULES: dict[FlavourName, str] = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
_OLDEST: dict[FlavourName, tuple[int, int]] = {"tensorrt": (10, 14), "tensorrt-rtx": (1, 7)}
# TensorRT-RTX leaves Turing out unless told, because it slows the others down; so do we.
_LEAST_CAPABILITY = (8, 0)
_TYPED_BY_RULE = 11  # the first major release of TensorRT in which every network is strongly typed


@dataclass(frozen=True)
class Flavour:
    """One of the two libraries, imported.

    Attributes
    ----------
    module
        The Python module.
    version
        As the module has it: "10.16.1.11".
    """

    name: FlavourName
    module: ModuleType
    version: str

    @property
    def title(self) -> str:
        """For messages."""
        return f"{'TensorRT' if self.name == 'tensorrt' else 'TensorRT-RTX'} {self.version}"

    @property
    def needs_gpu(self) -> bool:
        """Whether building needs a GPU, for which the plan then is."""
        return self.name == "tensorrt"

    @property
    def log(self) -> Log:
        """The library's error lines."""
        return log_of(self.module)[0]

    @property
    def logger(self) -> Any:
        """For every object of the library that wants one."""
        return log_of(self.module)[1]

    def network_flags(self) -> int:
        """The flags with which a network is strongly typed."""
        flag = getattr(self.module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
        if flag is not None:
            return 1 << int(flag)
        if self.name == "tensorrt" and _release(self.version)[0] < _TYPED_BY_RULE:
            raise EngineError(f"{self.title} does not offer strongly typed networks: {INSTALL[self.name]}")
        return 0

    def capabilities(self) -> tuple[str, ...]:
        """The compute capabilities that plans can target, by which the GPU here is not meant; none on TensorRT."""
        if self.name == "tensorrt":
            return ()
        return tuple(_capability(name) for name in self.module.ComputeCapability.__members__ if name.startswith("SM"))

    def targets(self, recipe: Recipe) -> tuple[str, ...]:
        """The compute capabilities that a recipe's plan targets; none on TensorRT, whose plans are for a GPU's kind."""
        usual = tuple(name for name in self.capabilities() if _numbers(name) >= _LEAST_CAPABILITY)
        return recipe.capabilities or usual

    def check(self, recipe: Recipe) -> None:
        """Refuse what the library does not have.

        Raises
        ------
        EngineError
            If the recipe asks for it.
        """
        if self.name == "tensorrt":
            if recipe.capabilities:
                raise self._lacks(
                    "compute capabilities to target", "use --hardware-compatible, or --runtime tensorrt-rtx"
                )
            return
        if recipe.hardware_compatible is not None:
            raise self._lacks("hardware compatibility levels", "name the GPUs by --capability")
        if recipe.version_compatible:
            raise self._lacks("version-compatible plans", "build again for each version, or use --runtime tensorrt")
        unknown = [name for name in recipe.capabilities if name not in self.capabilities()]
        if unknown:
            raise self._lacks(f"the compute capability {unknown[0]}", f"choose from {', '.join(self.capabilities())}")

    def configure(self, config: Any, recipe: Recipe) -> None:
        """Write a recipe into a builder's configuration.

        Raises
        ------
        EngineError
            If the library does not have, or does not take, what the recipe asks for.
        """
        self.check(recipe)
        config.builder_optimization_level = recipe.optimisation_level
        if config.builder_optimization_level != recipe.optimisation_level:
            raise self._lacks(f"the optimisation level {recipe.optimisation_level}", "choose a lower one")
        self._set_flags(config, recipe)
        self._set_hardware(config, recipe)
        self._set_targets(config, self.targets(recipe))

    def _set_flags(self, config: Any, recipe: Recipe) -> None:
        wanted = {
            "VERSION_COMPATIBLE": recipe.version_compatible,
            "STRIP_PLAN": recipe.stripped,
            "REFIT": recipe.refittable,
        }
        for name in (name for name, asked in wanted.items() if asked):
            flag = self._member("BuilderFlag", name)
            config.set_flag(flag)
            if not config.get_flag(flag):
                raise self._lacks(f"the builder's flag {name} here", "leave its option out")

    def _set_hardware(self, config: Any, recipe: Recipe) -> None:
        if recipe.hardware_compatible is None:
            return
        level = self._member("HardwareCompatibilityLevel", recipe.hardware_compatible.upper())
        config.hardware_compatibility_level = level
        if config.hardware_compatibility_level != level:
            raise self._lacks(f"the hardware compatibility {recipe.hardware_compatible} here", "leave it out")

    def _set_targets(self, config: Any, targets: tuple[str, ...]) -> None:
        if targets:
            config.num_compute_capabilities = len(targets)
        for index, name in enumerate(targets):
            if not config.set_compute_capability(self._member("ComputeCapability", _member_name(name)), index):
                raise self._lacks(f"the compute capability {name} among {', '.join(targets)}", "name others")

    def _member(self, enumeration: str, name: str) -> Any:
        members = getattr(self.module, enumeration, None)
        if not hasattr(members, name):
            raise self._lacks(f"{enumeration}.{name}", "leave its option out, or install a later release")
        return getattr(members, name)

    def _lacks(self, what: str, remedy: str) -> EngineError:
        return EngineError(f"{self.title} does not offer {what}: {remedy}")


def load_flavour(name: str) -> Flavour:
    """Import TensorRT or TensorRT-RTX.

    Raises
    ------
    CaseError
        If the name is neither.
    EngineError
        If the library is not there, or is too old; says what to install.
    """
    if name not in FLAVOURS:
        raise CaseError(f"the runtime {name!r} is not known; expected one of {list(FLAVOURS)}")
    flavour: FlavourName = name
    try:
        module = importlib.import_module(_MODULES[flavour])
        version = str(module.__version__)
    except (ImportError, AttributeError, OSError) as fault:
        reason = " ".join(str(fault).split())[:200]
        raise EngineError(f"the runtime {name!r} cannot be imported ({reason}): {INSTALL[flavour]}") from None
    oldest = _OLDEST[flavour]
    if _release(version)[:2] < oldest:
        raise EngineError(
            f"the runtime {name!r} is of version {version}; expected {oldest[0]}.{oldest[1]} or later: "
            f"{INSTALL[flavour].replace('install', 'install -U')}"
        )
    return Flavour(flavour, module, version)


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _numbers(capability: str) -> tuple[int, int]:
    major, _, minor = capability.partition(".")
    return int(major), int(minor)


def _capability(member: str) -> str:
    """SM120 is 12.0."""
    return f"{member[2:-1]}.{member[-1]}"


def _member_name(capability: str) -> str:
    return f"SM{capability.replace('.', '')}"
