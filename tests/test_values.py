"""The types of what may be sent: as wide as what is taken, and no wider."""

from __future__ import annotations

from typing import ForwardRef, get_args

from remotemedia import data_v1, values
from remotemedia.contracts.values import to_buffer


def test_every_message_that_holds_a_value_is_in_the_type() -> None:
    named = {
        ref.__forward_arg__.removeprefix("data_v1.")
        for ref in get_args(values.Message)
        if isinstance(ref, ForwardRef)
    }
    fields = data_v1.DataBuffer()._betterproto.oneof_field_by_group["data_type"]
    kinds = {
        data_v1.DataBuffer._betterproto.cls_by_field[field.name].__name__
        for field in fields
    }
    # Audio is one class on both contracts, and the service takes no control messages.
    assert named == kinds - {"AudioBuffer", "ControlMessage"} | {"DataBuffer"}


def test_each_of_them_is_taken() -> None:
    for value in (None, True, 1, 1.5, "text", [1], (1,), {"a": None}, b"bytes"):
        assert to_buffer(value, "it").which_oneof("data_type")
