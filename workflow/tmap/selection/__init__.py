"""Select a subset by scores and weights, and export it."""
