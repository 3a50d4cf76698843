"""Where the instructions of a request are: by crate, and ours by room, with what was inlined counted where it is written.

The program wants line tables for that: `CARGO_PROFILE_RELEASE_DEBUG=line-tables-only`. The time a kernel takes is in no such count.
"""

import re
from collections import Counter
from pathlib import Path

from .twin import table

PLACES = [
    (re.compile(r"/registry/src/[^/]+/(?P<name>[a-z0-9_-]+?)-\d+\.\d+\.\d+[^/]*/"), "{name}"),
    (re.compile(r"(?:^|/)src/(?P<name>server|gateway|route|session|login|identity|upstream|telemetry)\b"), "ours: {name}"),
    (re.compile(r"(?:^|/)src/(?:time|random|member|deadline|secret|field_name)\.rs"), "ours: words all rooms share"),
    (re.compile(r"/library/(?P<name>core|alloc|std)/"), "Rust's {name}"),
    (re.compile(r"malloc|arena"), "allocator"),
    (re.compile(r"mem(?:move|cpy|set|cmp|chr)"), "memcpy, memset, memcmp"),
    (re.compile(r"aws-lc|aws_lc|/crypto/|generated-src"), "aws-lc"),
]


def place(file, function, program):
    if file == "???" or not file:
        if re.search(r"aws_lc|sha256_block|bcm_|CRYPTO_|OPENSSL_|RAND_|drbg", function):
            return "aws-lc"
        if re.search(r"malloc|free|realloc", function):
            return "allocator"
    for pattern, name in PLACES:
        if found := pattern.search(file):
            return name.format(**found.groupdict())
    return "libc" if "/sysdeps/" in file or "libc" in program or "/nptl/" in file else "others"


def by_place(dump):
    """Instructions by place and by function, from callgrind's own format."""
    places, functions = Counter(), Counter()
    names = {"file": {}, "fn": {}, "ob": {}}
    now = {"file": "???", "fn": "", "ob": ""}
    called = False

    def named(kind, text):
        # "(12) name" the first time, "(12)" later.
        number, _, name = text.partition(" ")
        if name:
            names[kind][number] = name
        return names[kind].get(number, "???")

    for line in Path(dump).read_text().splitlines():
        key, equals, text = line.partition("=")
        if equals and key in ("fl", "fi", "fe"):
            now["file"] = named("file", text)
        elif equals and key in ("fn", "ob"):
            now[key] = named(key, text)
        elif equals and key in ("cfn", "cfi", "cfl", "cob"):
            named({"cfn": "fn", "cob": "ob"}.get(key, "file"), text)
        elif equals and key == "calls":
            # The line after it has what the callee spent.
            called = True
        elif line[:1] in tuple("0123456789+-*"):
            fields = line.split()
            if not called and len(fields) > 1:
                places[place(now["file"], now["fn"], now["ob"])] += int(fields[1])
                functions[now["fn"]] += int(fields[1])
            called = False
    return places, functions


def tables(dump, count):
    """The two tables: by crate and room, and the functions that take most."""
    places, functions = by_place(dump)
    most = [[f"`{shortened(name)}`", f"{cost / count:,.0f}"] for name, cost in functions.most_common(25)]
    rows = [[name, f"{cost / count:,.0f}"] for name, cost in places.most_common() if cost / count >= 50]
    rows.append(["**all**", f"{sum(places.values()) / count:,.0f}"])
    return (table("Instructions of an authenticated request", ["where", "instructions"], rows)
            + "\n" + table("The functions that take most, by themselves", ["function", "instructions"], most))


def shortened(name):
    return name if len(name) <= 110 else name[:107] + "…"
