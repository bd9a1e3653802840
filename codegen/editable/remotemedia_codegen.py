"""Makes the generator known by its installed name in an editable install.

The wheel calls the folder `codegen` by this name, and does not contain this file.
"""

from pathlib import Path

__path__ = [str(Path(__file__).resolve().parents[1])]
