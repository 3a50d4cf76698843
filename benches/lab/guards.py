"""What no noise touches: instructions, system calls and allocations of a request, held against what they were.

The figures are of this program on this machine; a baseline is worth something only beside itself.
"""

import re
import shutil
import signal
import socket
import subprocess
import time
import tomllib
from pathlib import Path

from . import peers, tables
from .machine import Failure
from .twin import table

CONNECTIONS = 16
# A figure may be exceeded by so much; the last one is the line of the whole, whatever the baseline says.
MARGIN = 1.05
MOST_SYSTEM_CALLS = 4.3
TARGETS = {"authenticated": tables.PAGE, "public": tables.ASSET}


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


class Wrapped:
    """Starts the gateway beneath another program, which reports on it; everything else starts as it is."""

    def __init__(self, lab, wrapper):
        self.lab, self.wrapper = lab, wrapper

    def start(self, name, command, **more):
        return self.lab.start(name, [*self.wrapper, *command], **more)

    def subfolder(self, name):
        return self.lab.subfolder(name)


def instructions(lab, binary, target, warm_up=1008, count=4000, keep=None):
    """User-space instructions of a request, by callgrind: those of `count` requests after a warm-up."""
    folder = lab.subfolder("callgrind")
    wrapper = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"]
    app = peers.upstream(lab)
    server, _ = peers.Gateway(binary).start(Wrapped(lab, wrapper), app, target)
    asker = Asker(server)
    asker.ask(warm_up)
    process = str(server.child.process.pid)
    control("--zero", process)
    asker.ask(count)
    control("--dump", process)
    asker.close()
    dump = folder / "out.1"
    deadline = time.monotonic() + 30
    while not (dump.exists() and "totals:" in dump.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    total = re.search(r"^totals: (\d+)", dump.read_text(), re.MULTILINE) if dump.exists() else None
    if total is None:
        raise Failure("callgrind wrote nothing")
    if keep:
        shutil.copy(dump, keep)
    return int(total.group(1)) / count


def control(*what):
    done = subprocess.run(["callgrind_control", *what], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"callgrind_control: {done.stderr.strip()}")


def system_calls(lab, binary, target, count=8000):
    """System calls of a request, on all threads, by strace, and which they are."""
    app = peers.upstream(lab)
    server, _ = peers.Gateway(binary).start(lab, app, target)
    asker = Asker(server)
    asker.ask(CONNECTIONS * 20)
    counts = lab.subfolder("strace") / "counts"
    tracer = subprocess.Popen(["strace", "-c", "-f", "-U", "name,calls", "-o", str(counts), "-p", str(server.child.process.pid)],
                              stderr=subprocess.DEVNULL)
    try:
        # It has to hold every thread before anything counts.
        wait_until_traced(server.child.process.pid)
        asker.ask(count)
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(30)
    asker.close()
    calls = {name: int(number) for name, number in re.findall(r"^(\w+) +(\d+)$", counts.read_text(), re.MULTILINE)}
    calls.pop("total", None)
    return {name: number / count for name, number in calls.items() if number >= count / 100}


def wait_until_traced(process):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        states = [Path(f"{task}/status").read_text() for task in Path(f"/proc/{process}/task").iterdir()]
        if all("TracerPid:\t0\n" not in state for state in states):
            return
        time.sleep(0.02)
    raise Failure("strace does not attach; is kernel.yama.ptrace_scope in its way?")


def measure(lab, binary, allocations):
    """Every figure by kind of request. `allocations` is the program that counts those."""
    done = subprocess.run([str(allocations), "--bench"], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise Failure(f"the allocations were not counted: {done.stderr.strip()}")
    found = tomllib.loads(done.stdout)
    for name, target in TARGETS.items():
        with lab.during():
            found[name]["instructions"] = round(instructions(lab, binary, target))
        with lab.during():
            found[name]["system_calls"] = round(sum(system_calls(lab, binary, target).values()), 2)
    return found


def compare(found, file):
    """The table, and what is exceeded."""
    expected = tomllib.loads(file.read_text())
    rows, exceeded = [], []
    for name, figures in found.items():
        for what, value in figures.items():
            before = expected.get(name, {}).get(what)
            most = before * MARGIN if before is not None else float("inf")
            if what == "system_calls":
                most = min(most, MOST_SYSTEM_CALLS)
            kept = value <= most
            if not kept:
                exceeded.append(f"{name}: {what} {value:g}, at most {most:g}")
            rows.append([name, what.replace("_", " "), f"{value:g}", "–" if before is None else f"{before:g}",
                         "kept" if kept else "exceeded"])
    return table("Guards, per request", ["request", "what", "now", "baseline", "within 5 %"], rows), exceeded


def write(found, file):
    """The figures as the baseline; the comment at its head stays."""
    comment = [line for line in file.read_text().splitlines() if line.startswith("#")]
    lines = [*comment]
    for name, figures in found.items():
        lines += ["", f"[{name}]", *(f"{what} = {value:g}" if value < 1e5 else f"{what} = {value:.0f}" for what, value in figures.items())]
    file.write_text("\n".join(lines) + "\n")
