"""HD-BET's networks opened where the tumours' network runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from .networks import BrainNetwork, CpuNetwork, DeviceNetwork
from .placement import SHAPE
from .weights import STATES, brain_source

if TYPE_CHECKING:
    from ..backends import Backend
    from ..plans.flavour import FlavourName


def open_networks(
    backend: Backend, *, ensemble: bool, threads: int | None, self_check: bool = True
) -> list[BrainNetwork]:
    """One of the networks, or all five: on the backend's GPU by the library that it uses, or on the CPU.

    Raises
    ------
    EngineError
        If the networks are not installed, or do not run there.

    Warns
    -----
    PlanWarning
        If a plan is built.
    """
    numbers = range(len(STATES)) if ensemble else range(1)
    device = backend.gpu
    if device is None:
        return [CpuNetwork(brain_source(number, SHAPE).path, threads) for number in numbers]
    from .plans import load_brain_engine

    flavour = cast("FlavourName", backend.runtime)
    engines = (load_brain_engine(number, device, flavour, self_check=self_check) for number in numbers)
    return [DeviceNetwork(device, engine) for engine in engines]
