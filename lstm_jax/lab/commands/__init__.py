"""Bodies of the commands: `run(argv)` of a module is one of them."""
