"""What results can do: decode their data outputs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any


class DataOutputsMixin:
    """Mixed into the generated messages that carry ``data_outputs``."""

    if TYPE_CHECKING:
        data_outputs: dict[str, str]

    def json(self, name: str) -> Any:
        """Decode the data output of this name, which is JSON text on the wire.

        Args:
            name: the output's name: the id of the node it comes from.

        Raises:
            KeyError: there is no such output; the message lists those there are.
            ValueError: the output is not JSON.
        """
        try:
            text = self.data_outputs[name]
        except KeyError:
            there = ", ".join(map(repr, sorted(self.data_outputs))) or "none"
            raise KeyError(f"no data output {name!r}; there are: {there}") from None
        return json.loads(text)
