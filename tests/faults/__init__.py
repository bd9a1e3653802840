"""Failures of peers, networks and callers, through the whole client.

They have no single module: each test breaks something outside the library and checks
what the caller gets. After every test, no task and no socket may be left, and nothing
may have been reported to the event loop (see ``conftest``).
"""
