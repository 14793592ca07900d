"""Instruction-data selection that adapts to task and model (arXiv:2605.09665)."""

__version__ = "0.1.0"
