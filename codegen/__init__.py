"""From `.proto` files to typed betterproto messages and grpclib stubs.

`python -m codegen` runs protoc, reads the descriptors and renders the templates:

- `protoc` runs the pinned compiler and hands over its descriptors,
- `build` makes a `model` of them, under the names of `naming`,
- `render` turns a model into Python modules, formatted by ruff,
- `tree` compares them with what is on disk, and writes them.
"""
