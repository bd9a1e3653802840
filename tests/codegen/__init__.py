"""The tests of the generator: its command line, its output, and the types in it.

`protos/` holds proto files with unusual features, `circles/` packages that use each
other, and `unusual` writes protos with every name that could mean something else. The
fixture `generated` runs the generator over all of them once, and over the protos that
Google's services have in common, and makes the packages importable.
"""
