"""One session."""
