"""Synthetic exams as a hospital has them: phantoms with skulls, on clinical grids, as DICOM files."""
