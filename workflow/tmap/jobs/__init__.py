"""A job's clock, log, console and last words."""
