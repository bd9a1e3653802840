"""Tests of the adapters: each set of messages, and what the client makes of it."""
