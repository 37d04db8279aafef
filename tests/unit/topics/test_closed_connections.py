import asyncio
from typing import Any

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from tests.support.services import free_ports
from topics.connection import client_options
from topics.settings import KafkaSettings


async def _write_to_an_ended_connection(send: str, *arguments: Any) -> None:
    """Send in the moment after the transport has closed and before aiokafka's reader has run."""
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", *free_ports(1))
    async with server:
        connection = AIOKafkaConnection(*server.sockets[0].getsockname())
        reader, writer = await asyncio.open_connection(connection.host, connection.port)
        connection._reader, connection._writer, connection._versions = asyncio.StreamReader(), writer, {3: (0, 0)}
        connection._closed_fut = asyncio.get_running_loop().create_future()
        connection._read_task = connection._create_reader_task()
        await reader.read()
        writer.close()
        await asyncio.sleep(0)
        with pytest.raises(KafkaConnectionError):
            getattr(connection, send)(*arguments)
        assert not connection.connected()


@pytest.mark.parametrize(("send", "argument"), [("send", MetadataRequest([])), ("_send_sasl_token", b"token")])
def test_a_request_on_a_connection_that_just_ended_is_an_outage_on_uvloop_too(send: str, argument: object) -> None:
    """Anything else would end the worker, or aiokafka's own tasks, each time that a broker dies at the wrong moment."""
    client_options(KafkaSettings())
    uvloop.run(_write_to_an_ended_connection(send, argument))
