"""Exams as the scanner left them: four series with skulls on four grids, brought together for one run."""
