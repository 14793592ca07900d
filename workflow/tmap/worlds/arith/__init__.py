"""The embedded world: sums in words, answers with known faults, small trained models."""
