"""Tests of the library, its generator and its contract.

A module ``remotemedia/<package>/<name>.py`` has its own tests in
``tests/<package>/test_<name>.py``, and a module at the package's root has them in
``tests/test_<name>.py``. Folders without such a package hold what has no single module:

- ``codec``: generated messages against Google's protobuf, on valid and broken input.
- ``codegen``: the generator and its command line.
- ``faults``: failures of peers, networks and callers, through the whole client.
- ``project``: the repository itself: examples, documentation, packaging, imports.
- ``web``: the web applications of the examples, on real servers.
- ``support``: helpers that several folders share.
"""
