"""A job's clock, log, console and final error message."""
