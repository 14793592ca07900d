"""Gradients of a proxy model, which `less` and `evoselect` compare."""
