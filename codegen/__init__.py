"""The generator: typed messages, their codec, and stubs from `.proto` files.

`python -m codegen` runs these modules in turn:

- `protoc` runs the pinned compiler, which gives descriptors,
- `build` makes a `model` of the descriptors, with names from `naming`,
- `render` renders the model as Python modules,
- `tree` compares these with the files on disk, and writes them.

Nothing in `remotemedia` imports the generator, and it imports nothing from there, so
that it runs even if the generated code is broken.
"""
