"""Text as a message: the methods of ``TextBuffer``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self


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
            ValueError: ``text_data`` is not text in ``encoding``.
        """
        encoding = self.encoding or "utf-8"
        try:
            return bytes(self.text_data).decode(encoding)
        except LookupError:
            raise ValueError(f"there is no encoding {encoding!r:.80}") from None
