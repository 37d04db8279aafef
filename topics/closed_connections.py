"""A connection that a broker has just ended, on uvloop: writing to it is an outage, not a bug.

1. The broker dies; uvloop closes the transport. 2. aiokafka's reader of that connection has not run yet, so the connection
still counts as open. 3. A request is written to it: asyncio's own transport takes the bytes and drops them, uvloop's raises
RuntimeError, and aiokafka (0.14) expects OSError. The error goes up to whoever sent the request: a commit ended the worker
(met in 2 of 3 broker deaths at 2,000 calls in flight), a produce or a heartbeat would end aiokafka's own task for good.
So a connection whose transport is closing is closed for aiokafka as well, before anything is written to it.
"""

import functools
from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection, CloseReason

_SENDS: Final = ("send", "_send_sasl_token")


def notice_closed_connections() -> None:
    """Let every aiokafka client of this process see such a connection as broken (KafkaConnectionError). Idempotent."""
    for name in _SENDS:
        method = getattr(AIOKafkaConnection, name)
        if not hasattr(method, "__wrapped__"):
            setattr(AIOKafkaConnection, name, _noticing(method))


def _noticing(send: Any) -> Any:
    @functools.wraps(send)
    def noticing(connection: Any, *arguments: Any, **named: Any) -> Any:
        if connection._writer is not None and connection._writer.is_closing():  # noqa: SLF001 - aiokafka has no seam here
            connection.close(reason=CloseReason.CONNECTION_BROKEN)
        return send(connection, *arguments, **named)

    return noticing
