"""WebSockets by the thousand: an app that repeats what it hears, and clients that are all there at the same time.

    websockets_echo.py serve
    websockets_echo.py open HOST:PORT AUTHORITY PATH COUNT

`serve` listens on a free loopback port and prints it. `open` opens so many, prints `open COUNT`, and waits for a line on
its standard input; then each sends a message of its own and waits for it to come back, all at once, and it prints
`echoed COUNT`. At the end of its input it closes them. Anything that is not as it should be ends it with status 1.
Neither knows more of RFC 6455 than that takes.
"""

import asyncio
import base64
import hashlib
import os
import struct
import sys

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
AT_ONCE = 200  # Handshakes under way at a time: they would otherwise measure the queue of the listener.


def accepted(key):
    return base64.b64encode(hashlib.sha1(key + MAGIC).digest())


async def head_of(reader):
    return await reader.readuntil(b"\r\n\r\n")


def field(head, name):
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip()
    raise ValueError(f"no {name!r} in {head!r}")


async def frame_of(reader):
    """Opcode and payload of a frame, whoever sent it."""
    first, second = await reader.readexactly(2)
    length = second & 0x7F
    assert length < 126, "nothing here is that long"
    mask = await reader.readexactly(4) if second & 0x80 else bytes(4)
    payload = await reader.readexactly(length)
    return first & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


async def echo(reader, writer):
    try:
        key = field(await head_of(reader), b"sec-websocket-key")
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: " + accepted(key) + b"\r\n\r\n"
        )
        while True:
            opcode, payload = await frame_of(reader)
            writer.write(bytes([0x80 | opcode, len(payload)]) + payload)
            if opcode == 8:
                await writer.drain()
                return
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # A client that goes away.
    finally:
        writer.close()


async def serve():
    server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def connect(address, authority, path):
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    key = base64.b64encode(os.urandom(16))
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key.decode()}\r\n\r\n".encode()
    )
    head = await head_of(reader)
    if not head.startswith(b"HTTP/1.1 101 ") or field(head, b"sec-websocket-accept") != accepted(key):
        raise ValueError(f"no WebSocket: {head!r}")
    return reader, writer


def masked(opcode, payload):
    mask = os.urandom(4)
    body = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return struct.pack("BB", 0x80 | opcode, 0x80 | len(payload)) + mask + body


async def hears_itself(number, connection):
    reader, writer = connection
    message = f"message {number}".encode()
    writer.write(masked(1, message))
    frame = await frame_of(reader)
    if frame != (1, message):
        raise ValueError(f"{frame!r} instead of {message!r}")


async def open_many(address, authority, path, count):
    turn = asyncio.Semaphore(AT_ONCE)

    async def one():
        async with turn:
            return await connect(address, authority, path)

    connections = await asyncio.gather(*(one() for _ in range(count)))
    print(f"open {len(connections)}", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.gather(*(hears_itself(number, connection) for number, connection in enumerate(connections)))
    print(f"echoed {len(connections)}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for _, writer in connections:
        writer.write(masked(8, struct.pack(">H", 1000)))
    for reader, writer in connections:
        opcode, _ = await frame_of(reader)
        if opcode != 8:
            raise ValueError("a Close is not answered")
        writer.close()


def main():
    match sys.argv[1:]:
        case ["serve"]:
            asyncio.run(serve())
        case ["open", address, authority, path, count]:
            asyncio.run(open_many(address, authority, path, int(count)))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
