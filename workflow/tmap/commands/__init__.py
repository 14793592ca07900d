"""One module per subcommand: read the inputs, make one call, write the outputs."""
