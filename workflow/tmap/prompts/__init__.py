"""Conversations as token ids: templates, chat templates, rendering."""
