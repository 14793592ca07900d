"""One page that shows a result: one file, which asks nothing of a network or a server."""
