"""The tests that need no sockets, on CPython 3.14 and 3.15 compiled to WebAssembly.

There are no packages with C extensions for these versions yet, numpy among them, and no
threads or processes in WebAssembly. `make wasm` runs `run.mjs` in Node.js, which starts
Python and runs `__main__.py` in it.
"""
