"""The methods of results: decoding data outputs, and a table for notebooks.

The generated messages with a field ``data_outputs`` inherit from
:class:`DataOutputsMixin`. This module imports nothing generated, because the generated
code imports it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from remotemedia import notebook


class DataOutputsMixin:
    """The methods of messages that have the field ``data_outputs``."""

    if TYPE_CHECKING:
        data_outputs: dict[str, str]

    def json(self, name: str) -> Any:
        """Decode a data output from its JSON text.

        Args:
            name: the name of the output, which is the id of the node it comes from.

        Returns:
            The value that ``json.loads`` makes of the text.

        Raises:
            KeyError: there is no such output; the message lists the existing ones.
            ValueError: the output is not JSON.
        """
        try:
            text = self.data_outputs[name]
        except KeyError:
            known = ", ".join(map(repr, sorted(self.data_outputs))) or "none"
            raise KeyError(f"no data output {name!r}; there are: {known}") from None
        return json.loads(text)

    def _repr_html_(self) -> str:
        """Show the metrics and the outputs as a table in a notebook."""
        return notebook.table(self)
