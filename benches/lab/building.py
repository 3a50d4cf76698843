"""What the scripts need before they can begin: programs of this package, and those of others."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from .machine import Failure


def install(tools):
    """Sees to it that commands are there; `tools` has the Debian package of each."""
    missing = sorted({package for command, package in tools.items() if not shutil.which(command)})
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Failure(f"more is needed than is installed here. On Debian or Ubuntu:\n\n    sudo apt-get install {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        subprocess.run(["apt-get", "-qq", "update"], check=True, env=environment)
        # The servers are started by a script alone, and not by the system as well.
        subprocess.run(["apt-get", "-qq", "install", "--yes", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", *missing],
                       check=True, env={**environment, "RUNLEVEL": "1"}, stdout=subprocess.DEVNULL)
    except subprocess.CalledProcessError as failed:
        raise Failure(f"apt-get, which says why above, has not installed what is needed: {' '.join(missing)}") from failed


def said(root, command, *arguments, **environment):
    """What a program of the compiler says; where it fails it has said why."""
    try:
        done = subprocess.run([command, *arguments], cwd=root, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    except FileNotFoundError as missing:
        raise Failure(f"there is no `{command}` here: Rust has to be installed, see https://rustup.rs, and its commands in PATH") from missing
    if done.returncode != 0:
        raise Failure(f"{' '.join([str(command), *arguments[:1]])} failed, and says why above")
    return done.stdout


def built(root, name, *more, **environment):
    """A program of the package in this folder, in release."""
    output = said(root, "cargo", "build", "--locked", "--release", "--message-format=json-render-diagnostics", *map(str, more),
                  **environment)
    messages = map(json.loads, output.splitlines())
    return next(Path(message["executable"]) for message in messages
                if message.get("executable") and message["target"]["name"] == name)


def released(root):
    """The program as it is installed; `scripts/release` builds it where there is none, or one that is older than its sources."""
    program = root / "target/trained/member-gateway"
    release = root / "scripts/release"
    # What it is made of, and what it is asked to do in between.
    sources = [root / "Cargo.toml", root / "Cargo.lock", release, root / "benches/lab/training.py",
               *filter(Path.is_file, (root / "src").rglob("*"))]
    if not program.exists() or program.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        said(root, release)
    return program
