"""The two sets of messages that services speak, each behind an adapter."""
