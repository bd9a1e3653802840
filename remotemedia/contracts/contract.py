"""What the client needs of a set of messages, beside what sessions need.

The facade speaks the types of ``remotemedia.v1``. An adapter for each set turns a
user's manifest and inputs into its requests, and its responses into what the user sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypeAlias

from typing_extensions import TypeVar

from remotemedia.manifest import AnyManifest, ManifestSource
from remotemedia.session import StreamMessages
from remotemedia.v1 import (
    AudioBuffer,
    ErrorResponse,
    ExecutionResult,
    ResourceLimits,
)

ContractName: TypeAlias = Literal["audio", "data"]
"""``"audio"`` is the set of October 2025, and ``"data"`` the one after it."""

ResultT_co = TypeVar("ResultT_co", bound=ExecutionResult, covariant=True)


class Contract(StreamMessages, Protocol[ResultT_co]):
    """One set of messages, as the client uses it."""

    @property
    def name(self) -> ContractName:
        """What users call it."""
        ...

    @property
    def other(self) -> ContractName:
        """What users call the other one."""
        ...

    @property
    def execution_stub(self) -> Any:
        """The class of the stub that executes pipelines."""
        ...

    @property
    def max_execution_s(self) -> float | None:
        """How long an execution may take if its caller sets no bound, in seconds."""
        ...

    @property
    def max_request_bytes(self) -> int:
        """The largest request that its services take."""
        ...

    def manifest(self, source: ManifestSource) -> AnyManifest:
        """Make the set's own manifest of what a user gave, and check it.

        Raises:
            RemoteMediaError: VALIDATION, if it breaks a rule.
            TypeError, ValueError: it is no manifest.
        """
        ...

    def execute_request(
        self,
        manifest: ManifestSource,
        audio_inputs: Mapping[str, AudioBuffer] | None,
        data_inputs: Mapping[str, object] | None,
        limits: ResourceLimits | None,
    ) -> Any:
        """The request of an execution.

        Raises:
            RemoteMediaError: VALIDATION, if the manifest breaks a rule, or an input is
                for a node that it does not have.
            TypeError, ValueError: the inputs are not mappings, or one is not valid.
        """
        ...

    def error_of(self, response: Any) -> ErrorResponse | None:
        """The error in place of a result; None if there is a result."""
        ...

    def result_of(self, response: Any) -> ResultT_co:
        """The result in a response that has no error."""
        ...

    def init_request(
        self,
        manifest: AnyManifest,
        data_inputs: Mapping[str, object] | None,
        expected_chunk_size: int,
        limits: ResourceLimits | None,
    ) -> Any:
        """The request that opens a session; it raises what ``execute_request`` does."""
        ...
