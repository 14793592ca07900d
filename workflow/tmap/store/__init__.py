"""Replies of models and judges, kept on disk so that nothing is asked twice."""
