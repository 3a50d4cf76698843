"""Processes of this machine: started on a core, found again with their children, ended by their own numbers."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

# What is measured has a core to itself; load and upstream share the other one.
MEASURED, LOADING = 0, 1
# Long enough for a program that callgrind runs.
PATIENCE = 60.0


class Failure(Exception):
    """What cannot be done, in words for whoever started the script."""


class Lab:
    """Everything that was started and written; it ends and vanishes with the `with` block."""

    def __init__(self):
        if not {MEASURED, LOADING} <= os.sched_getaffinity(0):
            raise Failure(f"this needs processors {MEASURED} and {LOADING}: one for the program, one for whoever asks it")
        # In memory where there is such a place: no disk has a say in what a log costs.
        shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="member-gateway-bench-", dir=shared))
        # Some peers give up root, and still have to read what is theirs.
        self.folder.chmod(0o755)
        self.children = []
        self.folders = 0

    def __enter__(self):
        # 10,000 connections are as many descriptors, on either side.
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return self

    def __exit__(self, *_):
        for child in reversed(self.children):
            child.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def subfolder(self, name):
        self.folders += 1
        folder = self.folder / f"{self.folders:02}-{name}"
        folder.mkdir()
        folder.chmod(0o755)
        return folder

    def start(self, name, command, core=MEASURED, **more):
        child = Child(name, command, core, self.folder / f"{name}.log", **more)
        self.children.append(child)
        return child

    @contextlib.contextmanager
    def during(self):
        """What is started within ends with the block."""
        kept = len(self.children)
        try:
            yield
        finally:
            for child in reversed(self.children[kept:]):
                child.end()
            del self.children[kept:]


class Child:
    """A process of ours and those that it started."""

    def __init__(self, name, command, core, log, cwd=None, env=None):
        self.name = name
        self.log = log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                ["taskset", "--cpu-list", str(core), *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=cwd,
                env={**os.environ, **(env or {})},
            )

    def wait_for(self, port):
        """Waits until the port takes connections."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.02)
        said = self.log.read_text(errors="replace")[-2000:]
        raise Failure(f"{self.name} does not take connections:\n{said}")

    def family(self):
        """The process and all that descend from it."""
        found, new = [], [self.process.pid]
        while new:
            found += new
            new = [child for parent in new for child in children_of(parent)]
        return found

    def end(self):
        """SIGTERM, and SIGKILL for those of its own that do not heed it."""
        if self.process.poll() is not None:
            return
        family = self.family()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            for process in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            self.process.wait()


def children_of(process):
    children = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{process}/task"):
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{process}/task/{thread}/children").read_text()
                children += map(int, text.split())
    return children


def processor_seconds(processes):
    """utime and stime of proc(5), in seconds."""
    ticks = 0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def proportional_kib(processes):
    """Memory, with what is shared counted in proportion (PSS)."""
    total = 0
    for process in processes:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
