"""The repository itself: what has no single module.

Examples and documentation that must run, packaging and dependencies, the imports
between packages, the types that users see, the protos, and the cost of a chunk in
counts.
"""
