"""The devices of the budget and what their makers publish about them: peaks, none of them measured here.

Rates are decimal: 1 GB/s = 1e9 bytes a second. Tensor peaks are dense, FP16 in and FP32 accumulated, at boost clock.
"""

from __future__ import annotations

from dataclasses import dataclass

CUDA_GUIDE = "CUDA C++ Programming Guide, Arithmetic Instructions"


def pcie_gb_s(generation: int) -> float:
    """The line rate of 16 lanes in one direction: 8 GT/s in generation 3, doubled since, 128 bits of data in 130."""
    return 8 * 2 ** (generation - 3) * 16 / 8 * 128 / 130


@dataclass(frozen=True)
class Device:
    """One device at its peak.

    Attributes
    ----------
    tensor_tflops
        Dense FP16 with FP32 accumulation.
    memory_gb_s
        Of the device's own memory; of the memory that it shares with the processor, where it is integrated.
    pcie
        Generation of its 16 lanes to the host; None for an integrated device.
    l1_bytes
        That a multiprocessor's L1 cache delivers a clock.
    doubles, conversions
        Results of double-precision arithmetic, and of conversions from and to 64-bit types, that a multiprocessor gives
        a clock.
    sources
        Where the figures stand.
    """

    name: str
    tensor_tflops: float
    memory_gb_s: float
    pcie: int | None
    multiprocessors: int
    boost_ghz: float
    l1_bytes: int
    doubles: int
    conversions: int
    sources: tuple[str, ...]

    @property
    def link_gb_s(self) -> float | None:
        """Line rate between host and device; None for an integrated device."""
        return None if self.pcie is None else pcie_gb_s(self.pcie)

    @property
    def l1_gb_s(self) -> float:
        """Of all multiprocessors' L1 caches together."""
        return self.multiprocessors * self.l1_bytes * self.boost_ghz

    @property
    def l1_over_memory(self) -> float:
        """Bytes that the L1 caches deliver while memory delivers one."""
        return self.l1_gb_s / self.memory_gb_s

    @property
    def flops_per_byte(self) -> float:
        """Tensor operations at peak while memory delivers one byte."""
        return self.tensor_tflops * 1e3 / self.memory_gb_s


DEVICES = (
    Device(
        "T4", 65.0, 320.0, 3, 40, 1.59, 64, 2, 2,
        (
            "NVIDIA T4 Tensor Core GPU Datasheet: 65 TFLOPS, 320 GB/s, PCIe 3.0 x16",
            "NVIDIA Turing GPU Architecture whitepaper: 40 multiprocessors, 1590 MHz",
            "Jia et al., Dissecting the NVidia Turing T4 GPU via Microbenchmarking, arXiv:1903.07486: L1 64 bytes a "
            "clock",
        ),
    ),
    Device(
        "A100 40 GB PCIe", 312.0, 1555.0, 4, 108, 1.41, 128, 32, 16,
        (
            "NVIDIA A100 Tensor Core GPU Datasheet: 312 TFLOPS, 1,555 GB/s, PCIe 4.0 x16",
            "NVIDIA A100 Tensor Core GPU Architecture whitepaper: 108 multiprocessors, 1410 MHz",
        ),
    ),
    Device(
        "H100 PCIe", 756.0, 2000.0, 5, 114, 1.755, 128, 64, 16,
        ("NVIDIA H100 Tensor Core GPU Datasheet: 1,513 TFLOPS with sparsity, half of it dense; 2 TB/s, PCIe 5.0 x16; "
         "51 TFLOPS in FP32 on 114 multiprocessors, which is 1755 MHz",),
    ),
    Device(
        "H100 SXM", 989.4, 3350.0, 5, 132, 1.98, 128, 64, 16,
        ("NVIDIA H100 Tensor Core GPU Architecture whitepaper: 989.4 TFLOPS dense, 132 multiprocessors; datasheet: "
         "3.35 TB/s, PCIe 5.0 x16; 66.9 TFLOPS in FP32, which is 1980 MHz",),
    ),
    Device(
        "RTX 4090", 165.2, 1008.0, 4, 128, 2.52, 128, 2, 2,
        (
            "NVIDIA Ada GPU Architecture whitepaper, appendix A: 165.2 TFLOPS with FP32 accumulation (330.3 with "
            "FP16), 1008 GB/s, 128 multiprocessors, 2520 MHz, PCIe 4.0 x16",
            "NVIDIA Ampere GA102 GPU Architecture whitepaper: L1 128 bytes a clock, twice Turing's",
        ),
    ),
    Device(
        "Jetson AGX Orin 64 GB", 42.5, 204.8, None, 16, 1.3, 128, 2, 2,
        ("NVIDIA Jetson AGX Orin Series Technical Brief: 170 INT8 TOPS with sparsity on the GPU, a quarter of it dense "
         "in FP16; 16 multiprocessors, 1.3 GHz, 204.8 GB/s shared with the processor",),
    ),
)  # fmt: skip
