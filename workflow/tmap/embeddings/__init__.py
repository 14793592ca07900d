"""Texts as vectors, and their nearest neighbours."""
