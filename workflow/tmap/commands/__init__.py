"""One module per subcommand: read, one call, write."""
