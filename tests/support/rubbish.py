"""An HTTP server that answers with whatever bytes a test hands it: for what no polite server would send."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class RubbishServer:
    """`heads` lists the request heads that came in, in order."""

    def __init__(self, answer: Answer) -> None:
        self.heads: list[bytes] = []
        self.port = 0
        self._answer = answer

    @property
    def url_template(self) -> str:
        """What PROVIDER_URL would be."""
        return f"http://127.0.0.1:{self.port}/score/{{token}}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read requests, and answer each, until the other side closes."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                await self._answer(writer)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def rubbish_server(answer: bytes | Answer) -> AsyncIterator[RubbishServer]:
    """Serve on a free port until the block ends."""

    async def send(writer: asyncio.StreamWriter) -> None:
        assert isinstance(answer, bytes)
        writer.write(answer)

    rubbish = RubbishServer(send if isinstance(answer, bytes) else answer)
    connections: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        with suppress(asyncio.CancelledError):
            await rubbish.serve(reader, writer)
        connections.discard(task)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    rubbish.port = server.sockets[0].getsockname()[1]
    try:
        yield rubbish
    finally:
        server.close()
        for task in connections:
            task.cancel()
        if connections:
            await asyncio.wait(connections, timeout=5)


def answer(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    """Build a polite answer; `headers` are whole lines, each with its line end."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body
