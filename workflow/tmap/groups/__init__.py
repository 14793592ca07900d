"""Search weights by asking groups of rows: probes, design, models of their answers."""
