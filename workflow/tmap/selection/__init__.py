"""From scores and weights to a subset, and its export."""
