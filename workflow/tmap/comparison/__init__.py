"""From finished runs to metrics.json: statistics, claims, pictures, the table."""
