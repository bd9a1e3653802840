"""The generator: typed messages, their codec, and stubs from `.proto` files.

It is installed as `remotemedia_codegen`, with two programs. In the repository it is
`codegen`, and `python -m codegen` is the first of them:

- `command` is `remotemedia-codegen`, which generates a folder of protos,
- `plugin` is `protoc-gen-remotemedia`, which protoc and buf run.

Both run these modules in turn, with the same `options`:

- `protoc` runs the pinned compiler, which gives descriptors (protoc has done so before
  it runs the plugin),
- `build` makes a `model` of the descriptors, with names from `naming`,
- `render` renders the model as Python modules, with comments as `docstrings`,
- `tree` compares these with the files on disk, and writes them (protoc writes those of
  the plugin).

Nothing in `remotemedia` imports the generator, and it imports nothing from there, so
that it runs even if the generated code is broken.

`client_command` is no part of it. It starts the command `remotemedia`, and stands here
because other packages overwrite nothing here.
"""
