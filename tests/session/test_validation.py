"""Checks of what goes to a node: the id, and the audio."""

from __future__ import annotations

from pathlib import Path

import pytest

from remotemedia import ErrorType, RemoteMediaError
from remotemedia.session.validation import check_audio, check_node_id
from tests.support.pipelines import tone


def test_a_node_of_the_manifest() -> None:
    check_node_id("a", ["a", "b"], "here")

    class Name(str):
        """A string all the same."""

    with pytest.raises(RemoteMediaError):
        check_node_id(Name("c"), ["a"], "here")


def test_a_node_that_is_not_there() -> None:
    with pytest.raises(RemoteMediaError) as caught:
        check_node_id("c", ["a", "b"], "here")
    assert str(caught.value) == (
        "here: no node 'c' in the manifest; its nodes are 'a', 'b'"
    )
    assert caught.value.error_type is ErrorType.VALIDATION
    assert caught.value.failing_node_id == "c"


@pytest.mark.parametrize("node_id", [5, None, ["a"]])
def test_an_id_is_text(node_id: object) -> None:
    with pytest.raises(TypeError, match="here: a node id must be a str, not"):
        check_node_id(node_id, ["a"], "here")  # type: ignore[arg-type]  # the mistake


def test_audio() -> None:
    check_audio(tone(), "here")
    with pytest.raises(TypeError, match="here is bytes, not an AudioBuffer"):
        check_audio(b"", "here")
    with pytest.raises(TypeError, match=r"AudioBuffer\.from_file reads one"):
        check_audio("speech.wav", "here")
    with pytest.raises(TypeError, match=r"AudioBuffer\.from_file reads one"):
        check_audio(Path("speech.wav"), "here")
    bad = tone()
    bad.channels = 0
    with pytest.raises(ValueError, match=r"here: AudioBuffer\.channels"):
        check_audio(bad, "here")
