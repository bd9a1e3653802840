"""Faults of peers, networks and callers: nothing may hang, leak or lie."""
