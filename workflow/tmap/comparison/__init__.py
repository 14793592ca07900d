"""Compare finished runs in metrics.json: statistics, claims, figures, the table."""
