"""Worlds that are made here: tasks, models and histories from seeds."""
