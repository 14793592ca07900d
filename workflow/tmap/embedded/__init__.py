"""Make the embedded world's small models, judge and history."""
