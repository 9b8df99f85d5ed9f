"""Distance: a proxy on loopback whose requests arrive later."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

PIECE_BYTES = 64 * 1024


@contextlib.contextmanager
def delayed(port: int, seconds: float) -> Iterator[int]:
    """The port of a proxy to ``port``: bytes go there ``seconds`` late and come back at once."""
    loop = asyncio.new_event_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        for carrying in (_carry(reader, back, seconds), _carry(there, writer, 0)):
            task = loop.create_task(carrying)
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    # in a thread of its own: whoever drives a browser has a loop running already
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    listening = asyncio.start_server(accept, "127.0.0.1", 0)
    server = asyncio.run_coroutine_threadsafe(listening, loop).result()
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        asyncio.run_coroutine_threadsafe(_end(server, tasks), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float
) -> None:
    now = asyncio.get_running_loop().time
    on_their_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def arrive() -> None:
        data = b"first"
        while data:
            due, data = await on_their_way.get()
            await asyncio.sleep(max(0, due - now()))
            if data:
                writer.write(data)
                await writer.drain()
        writer.close()

    async def leave() -> None:
        data = b"first"
        while data:
            try:
                data = await reader.read(PIECE_BYTES)
            except OSError:
                data = b""
            on_their_way.put_nowait((now() + seconds, data))

    with contextlib.suppress(OSError):
        await asyncio.gather(leave(), arrive())


async def _end(server: asyncio.Server, tasks: set[asyncio.Task[None]]) -> None:
    server.close()
    for task in list(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
