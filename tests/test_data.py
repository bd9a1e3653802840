"""The data contract as a user imports it, from a client to a service and back."""

from __future__ import annotations

import numpy as np
import pytest

import remotemedia
from remotemedia import (
    AudioBuffer,
    RemoteMediaClient,
    RemoteMediaConnectionError,
    RemoteMediaError,
    data,
    data_v1,
)
from remotemedia.testing import Fault, LocalService, NodeCall
from tests.support.pipelines import PASS, tone


def test_its_messages_are_the_generated_ones() -> None:
    for name in data.__all__:
        if name not in ("ChunkResult", "ExecutionResult", "Value"):
            assert getattr(data, name) is getattr(data_v1, name)
    assert issubclass(data.ExecutionResult, remotemedia.ExecutionResult)
    assert issubclass(data.ChunkResult, remotemedia.ChunkResult)


async def test_the_contract_is_found_out_and_may_be_overruled() -> None:
    async with LocalService(contract="data") as service:
        client = RemoteMediaClient(service.address)
        assert client.contract is None
        with pytest.raises(RemoteMediaConnectionError, match="not connected"):
            await client.execute_pipeline(PASS)
        async with client:
            assert client.contract == "data"
            assert isinstance(
                await client.execute_pipeline(PASS, {"src": tone()}),
                data.ExecutionResult,
            )
        async with RemoteMediaClient(service.address, contract="audio") as wrong:
            assert wrong.contract == "audio"
            with pytest.raises(RemoteMediaError, match="contract='data'"):
                await wrong.execute_pipeline(PASS, {"src": tone()})
    async with (
        LocalService() as service,
        RemoteMediaClient(service.address, contract="data") as wrong_too,
    ):
        with pytest.raises(RemoteMediaError, match="contract='audio'"):
            await wrong_too.execute_pipeline(PASS, None, {"src": b"bytes"})
    with pytest.raises(ValueError, match="contract is 'video'"):
        RemoteMediaClient(contract="video")  # type: ignore[call-overload]  # the mistake


async def ask_often(client: RemoteMediaClient) -> None:
    """Ask a hundred times: the version is checked beside the calls."""
    for _ in range(100):
        await client.get_version(wait_for_ready=True)


async def test_a_service_that_changes_its_contract_is_noticed() -> None:
    async with LocalService() as service:
        port = int(service.address.rpartition(":")[2])
        async with RemoteMediaClient(service.address) as client:
            await client.execute_pipeline(PASS, {"src": tone()})
            await service.stop()
            async with LocalService(contract="data", port=port):
                with pytest.raises(RemoteMediaError, match="the data contract now"):
                    await ask_often(client)
                await client.disconnect()
                await client.connect()
                assert client.contract == "data"


async def test_frames_go_through_a_node_of_the_users_own() -> None:
    def flip(call: NodeCall) -> data.VideoFrame:
        frame: data.VideoFrame = call.data
        return data.VideoFrame.from_numpy(frame.to_numpy()[::-1])

    frame = data.VideoFrame.from_numpy(np.arange(24, dtype=np.uint8).reshape(4, 2, 3))
    manifest = {"nodes": [{"id": "flip", "node_type": "Flip"}]}
    async with (
        LocalService(contract="data", nodes={"Flip": flip}) as service,
        RemoteMediaClient(service.address, contract="data") as client,
    ):
        result = await client.execute_pipeline(manifest, None, {"flip": frame})
        assert result.video().to_numpy()[0].tolist() == frame.to_numpy()[3].tolist()
        chunks = [("flip", frame)] * 3
        async with client.open_stream(manifest, chunks) as stream:
            flipped = [chunk.video() async for chunk in stream]
            assert stream.loading == ("[flip] status=idle message=Flip ready (1/1)",)
        assert [each.to_numpy()[3, 0, 0] for each in flipped] == [0, 0, 0]


async def test_an_error_in_mid_stream_is_the_end() -> None:
    fault = Fault.error(message="it broke", at_chunk=1)
    async with (
        LocalService(contract="data", faults=[fault]) as service,
        RemoteMediaClient(service.address) as client,
    ):
        results = client.stream_pipeline(PASS, [("src", tone())] * 5)
        assert (await anext(results)).sequence == 0
        with pytest.raises(RemoteMediaError, match="it broke"):
            await anext(results)
        assert await client.get_version()


async def test_audio_in_every_format_on_both_contracts() -> None:
    for contract in ("audio", "data"):
        async with (
            LocalService(contract=contract) as service,
            RemoteMediaClient(service.address) as client,
        ):
            for dtype in (np.float32, np.int16, np.int32):
                buffer = AudioBuffer.from_numpy(np.ones((3, 2), dtype), 8000)
                result = await client.execute_pipeline(PASS, {"src": buffer})
                assert result.audio().to_float32() == pytest.approx(buffer.to_float32())
                async for chunk in client.stream_pipeline(PASS, [("src", buffer)]):
                    assert chunk.audio() == buffer
