"""The generator: its output, its command line, and what type checkers make of it."""
