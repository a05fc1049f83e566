"""Runs CUDA kernels on the CPU, and reports what a GPU would not say."""

from .fault import FORGIVABLE, KINDS, KernelFault
from .machine import Emulator, Program
from .memory import Buffer
from .report import BufferReport, Report, SharedReport

__all__ = [
    "FORGIVABLE",
    "KINDS",
    "Buffer",
    "BufferReport",
    "Emulator",
    "KernelFault",
    "Program",
    "Report",
    "SharedReport",
]
