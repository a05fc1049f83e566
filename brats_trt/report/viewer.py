"""NiiVue, the viewer in a page: a file of the package, so that pages are made and read without a network.

`scripts/fetch_viewer.py` puts it below `build/`, and an installation takes it from there.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from ..errors import EngineError

VERSION = "0.69.0"
FILE = f"niivue-{VERSION}.umd.js.gz"


@cache
def load_viewer() -> bytes:
    """NiiVue's script for browsers, gzip'd.

    Raises
    ------
    EngineError
        If the package was installed without it.
    """
    try:
        return (files("brats_trt.report") / "niivue" / FILE).read_bytes()
    except OSError:
        raise EngineError(
            f"this installation has no NiiVue {VERSION}, the viewer that a report needs: run `python "
            "scripts/fetch_viewer.py` in the source folder, and install brats_trt from it again"
        ) from None


@cache
def viewer_licence() -> str:
    """What NiiVue's licence has copies of it say."""
    return (files("brats_trt.report") / "assets" / "NIIVUE_LICENCE.txt").read_text(encoding="utf-8").strip()
