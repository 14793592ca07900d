"""Instruction-data selection that adapts to the task and the model (TMAP, arXiv:2605.09665)."""

__version__ = "0.1.0"
