"""What a launch raises when a kernel does what a GPU would not report."""

from __future__ import annotations

KINDS = (
    "none",
    "out of bounds",
    "misaligned access",
    "write to read-only memory",
    "uninitialised read",
    "shared race",
    "global race",
    "barrier divergence",
    "missing lane",
    "inactive lane read",
    "assertion",
    "trap",
)
# What `allow` may let pass: the others leave nothing to go on with.
FORGIVABLE = ("uninitialised read", "shared race", "global race", "inactive lane read")

Index = tuple[int, int, int]


class KernelFault(Exception):  # noqa: N818
    """A kernel broke a rule of the device.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    kernel : str
    block, thread : (int, int, int) or None
        Who broke it, x first; None where only the damage is known.
    buffer : str or None
        The global buffer concerned.
    offset : int or None
        The byte in that buffer, or in the shared variable; negative or past the end where it lies outside.
    line : str or None
        "file.cu:12", the source line.
    """

    def __init__(
        self,
        kind: str,
        text: str,
        *,
        kernel: str,
        block: Index | None = None,
        thread: Index | None = None,
        buffer: str | None = None,
        offset: int | None = None,
        line: str | None = None,
    ) -> None:
        self.kind = kind
        self.kernel = kernel
        self.block = block
        self.thread = thread
        self.buffer = buffer
        self.offset = offset
        self.line = line
        place = [f"kernel {kernel}"]
        if block is not None:
            place.append(f"block {block}")
        if thread is not None:
            place.append(f"thread {thread}")
        if line is not None:
            place.append(line)
        super().__init__(f"{kind}: {text} [{', '.join(place)}]")
