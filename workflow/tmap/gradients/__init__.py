"""Gradients of a proxy model: what `less` and `evoselect` compare."""
