"""What no noise touches: instructions, system calls and allocations of a request, held against what they were.

The figures are of this program on this machine; a baseline is worth something only beside itself.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections import Counter
from pathlib import Path

from .machine import MEASURED, Failure

CONNECTIONS = 16


class Asker:
    """Asks over some connections at once: so a request shares its wake-ups with others, as it does under load."""

    def __init__(self, server):
        self.request = server.request.encode()
        self.sockets = [socket.create_connection(("127.0.0.1", server.port), 60) for _ in range(CONNECTIONS)]

    def ask(self, count):
        """Sends so many requests, a multiple of the connections, and checks each answer."""
        for _ in range(count // CONNECTIONS):
            for connection in self.sockets:
                connection.sendall(self.request)
            for connection in self.sockets:
                read_answer(connection)

    def close(self):
        for connection in self.sockets:
            connection.close()


def read_answer(connection):
    received = b""
    while b"\r\n\r\n" not in received:
        received += more(connection)
    head, _, content = received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise Failure(f"the status is not 200: {head[:200]!r}")
    left = int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head).group(1)) - len(content)
    while left > 0:
        left -= len(more(connection))


def more(connection):
    received = connection.recv(65536)
    if not received:
        raise Failure("the connection ended within an answer")
    return received


def instructions(lab, start, warm_up=1008, count=4000):
    """User-space instructions of a request, by callgrind: those of `count` requests after a warm-up."""
    folder = lab.subfolder("callgrind")
    server = start(["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out.%p", "--dump-line=yes"])
    asker = Asker(server)
    asker.ask(warm_up)
    process = str(server.child.process.pid)
    control("--zero", process)
    asker.ask(count)
    control("--dump", process)
    asker.close()
    deadline = time.monotonic() + 30
    while not (dumps := sorted(folder.glob("out.*.*"))) and time.monotonic() < deadline:
        time.sleep(0.1)
    if not dumps:
        raise Failure("callgrind wrote nothing")
    return dumps[0], count


def control(*what):
    done = subprocess.run(["callgrind_control", *what], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"callgrind_control: {done.stderr.strip()}")


def by_place(dump):
    """Instructions by file and by function, from callgrind's own format: inlined code counts for the file it stands in."""
    files, functions, names = Counter(), Counter(), {}
    file = function = None
    skip = False

    def name(text):
        # "(12) name" the first time, "(12)" later.
        found = re.match(r"\((\d+)\)(?: (.*))?", text)
        key = (kind[0] == "f" and kind != "fn", found.group(1))
        if found.group(2):
            names[key] = found.group(2)
        return names.get(key, "?")

    for line in Path(dump).read_text().splitlines():
        kind, equals, rest = line.partition("=")
        if equals and kind in ("fl", "fi", "fe"):
            file = name(rest)
        elif equals and kind == "fn":
            function = name(rest)
        elif equals and kind in ("cfn", "cfi", "cfl"):
            kind = "fn" if kind == "cfn" else "fl"
            name(rest)
        elif equals and kind == "calls":
            skip = True
        elif line[:1] in "0123456789+-*":
            if skip:
                skip = False
                continue
            cost = line.split()
            if len(cost) > 1 and cost[1].isdigit():
                files[file] += int(cost[1])
                functions[function] += int(cost[1])
    return files, functions
