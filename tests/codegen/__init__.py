"""The tests of the generator: its command line, its output, and the types in it.

`protos/` holds proto files with unusual names and features. The fixture `generated`
runs `python -m codegen` over them once, and makes the packages importable.
"""
