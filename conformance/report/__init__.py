"""Verdicts made readable: tallies of cells, a grid for the terminal, and JSON lines for machines."""
