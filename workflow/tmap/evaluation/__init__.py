"""Ask a model questions, read its answers and mark them."""
