"""Three witnesses on one table of cases: SciPy and NumPy (`oracle.py`), the C++ host stages, the CUDA kernels."""
