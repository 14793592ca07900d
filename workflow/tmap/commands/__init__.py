"""One thin command per rule: read, one call, write."""
