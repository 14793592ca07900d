"""Estimate the cost of a target before anything runs: `tmap plan`."""
