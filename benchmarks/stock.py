"""Stock betterproto: what its own plugin generates from our protos, at run time.

The plugin formats its output with black and isort. In the plugin's process, stand-ins
replace them, which leave the text as it is. The proto package is renamed, so that our
own package can be imported beside it.
"""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from tempfile import TemporaryDirectory

from conformance import oracle

PACKAGE = "stock_remotemedia.v1"


def load() -> types.ModuleType:
    """Generate the contract with betterproto's own plugin, and import it."""
    with TemporaryDirectory() as folder:
        generate(Path(folder))
        with oracle.importable(Path(folder)):
            return importlib.import_module(PACKAGE)


def generate(out: Path) -> None:
    """Generate the contract with betterproto's own plugin, into a folder."""
    with TemporaryDirectory() as folder:
        protos = Path(folder) / "protos"
        protos.mkdir()
        for path in oracle.CONTRACT.glob("*.proto"):
            text = path.read_text(encoding="utf-8")
            text = text.replace("package remotemedia.v1;", f"package {PACKAGE};")
            (protos / path.name).write_text(text, encoding="utf-8")
        plugin = Path(folder) / "plugin"
        code = "from benchmarks import stock; stock.plugin()"
        plugin.write_text(
            f"#!{sys.executable}\n"
            f"import sys; sys.path.insert(0, {str(oracle.REPOSITORY)!r}); {code}\n"
        )
        plugin.chmod(0o755)
        oracle.protoc(
            protos, f"--plugin=protoc-gen-stock={plugin}", f"--stock_out={out}"
        )


def plugin() -> None:
    """Run as betterproto's protoc plugin, without formatters."""
    black, isort, api = (
        types.ModuleType(name) for name in ("black", "isort", "isort.api")
    )
    vars(black).update(format_str=lambda src_contents, mode: src_contents, Mode=object)
    vars(api).update(sort_code_string=lambda code, **_: code)
    vars(isort).update(api=api)
    sys.modules.update({"black": black, "isort": isort, "isort.api": api})
    from betterproto.plugin.main import main

    main()
