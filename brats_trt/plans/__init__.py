"""Engines for a GPU: how they are chosen, what they cost in accuracy, and what is written down about them."""
