"""The compiled protos of the data contract are its own.

``test_descriptors`` checks that they are up to date, and complete.
"""

from __future__ import annotations

from remotemedia.testing import data_descriptors, descriptors


def test_the_files_are_those_of_the_data_contract() -> None:
    files = data_descriptors.FILES
    assert "remotemedia.v1.DataBuffer" in files["common.proto"].symbols
    # It stands in a message of the audio contract.
    assert "remotemedia.v1.Command" in files["streaming.proto"].symbols


def test_both_contracts_have_files_of_the_same_names() -> None:
    assert data_descriptors.FILES.keys() == descriptors.FILES.keys()
