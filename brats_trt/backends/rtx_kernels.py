"""What TensorRT-RTX compiles when it loads a plan, kept in a file for the next time.

The library keeps compiled kernels in a cache of its own, which it gives as bytes and takes back where GPU, driver and
its own version are those that it was made with; it refuses any other bytes, and compiles. So a file that is missing,
damaged or of another machine costs time and nothing else, and what goes wrong here is a warning.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from ..errors import CaseError
from ..files import make_folder, write_whole


class KernelWarning(UserWarning):
    """Compiled kernels could not be taken from their file, or not be kept in it."""


class KernelCache:
    """The compiled kernels of one engine.

    Parameters
    ----------
    config
        The library's runtime configuration, which the execution context is made with afterwards.
    path
        Of the file; it need not be there.

    Warns
    -----
    KernelWarning
        If the library takes no cache, or not the file's bytes.
    """

    def __init__(self, config: Any, path: Path) -> None:
        self._path = path
        self._known = b""
        self._cache: Any = config.create_runtime_cache()
        if self._cache is None or not config.set_runtime_cache(self._cache):
            self._cache = None
            _warn(f"{path}: compiled kernels are not kept, since TensorRT-RTX takes no cache for them")
            return
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as fault:
            _warn(f"{path}: kernels are compiled again, the file cannot be read ({fault.strerror})")
            return
        if self._cache.deserialize(content):
            self._known = content
        else:
            _warn(f"{path}: kernels are compiled again, since those kept are of another GPU, driver or version")

    def keep(self) -> None:
        """Write the kernels that there are now, unless the file has them; call it after a run.

        Warns
        -----
        KernelWarning
            If the file cannot be written.
        """
        if self._cache is None:
            return
        serialised = self._cache.serialize()
        content = b"" if serialised is None else bytes(serialised)
        if not content or content == self._known:
            return
        try:
            make_folder(self._path.parent)
            write_whole(self._path, content)
        except CaseError as fault:
            _warn(f"compiled kernels are not kept ({fault}), or set BRATS_TRT_CACHE to a folder that can be written")
        self._known = content


def _warn(message: str) -> None:
    warnings.warn(message, KernelWarning, stacklevel=4)
