"""Text as a message: the methods of ``TextBuffer``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

# Python's names for the encodings that are read, by name without punctuation. The name
# comes from the network, and others are slow on long texts, warn, or import modules.
_ENCODINGS = {
    "": "utf-8",
    "utf8": "utf-8",
    "ascii": "ascii",
    "usascii": "ascii",
    "latin1": "latin-1",
    "iso88591": "latin-1",
    **{f"utf{size}": f"utf-{size}" for size in (16, 32)},
    **{
        f"utf{size}{end}": f"utf-{size}-{end}"
        for size in (16, 32)
        for end in ("le", "be")
    },
}


class TextBufferMixin:
    """The methods of ``TextBuffer``; the message itself defines the fields."""

    if TYPE_CHECKING:
        text_data: bytes
        encoding: str

        def __init__(
            self,
            *,
            text_data: bytes = ...,
            encoding: str = ...,
            language: str = ...,
            channel: str = ...,
        ) -> None: ...

    @classmethod
    def from_text(cls, text: str, *, language: str = "", channel: str = "") -> Self:
        """Make a message of a text, in UTF-8.

        Args:
            text: the text.
            language: its language, such as ``"en"``.
            channel: which of several texts it is.

        Raises:
            ValueError: the text has half of a surrogate pair, which UTF-8 has not.
        """
        return cls(
            text_data=text.encode(),
            encoding="utf-8",
            language=language,
            channel=channel,
        )

    @property
    def text(self) -> str:
        """The text.

        Raises:
            ValueError: ``text_data`` is not text in ``encoding``, or that is none of
                UTF-8, UTF-16, UTF-32, ASCII and Latin-1.
        """
        name = self.encoding.lower().replace("-", "").replace("_", "")
        encoding = _ENCODINGS.get(name)
        if encoding is None:
            raise ValueError(
                f"encoding is {self.encoding!r:.80}: decode text_data with a codec "
                "for it"
            )
        return bytes(self.text_data).decode(encoding)
