"""Parts of fine-tuning: rows, trainer settings, the watch over a run, the adapter."""
