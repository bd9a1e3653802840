"""The command line, run in this process against the embedded service."""
