"""The tables, one function each: what runs beside what, and which line it is held against."""

import http.client
import json
import re
import statistics
import subprocess
import time

from . import others, peers, twin
from .machine import LOADING, Failure, free_port, processor_seconds, proportional_kib
from .twin import Spread, table, twin_table, verdict

PAGE, ASSET, LARGE, ITSELF = "/classes?week=2", "/assets/site.css", "/large", "/_gateway/health"
IDLE = 10_000
RATE = 2_000
ENDED = 1_000_000


def authenticated(lab, settings, binary, tools):
    """A member's request: cookie opened, fields cleaned, signed with HMAC; beside everybody."""
    app = peers.upstream(lab)
    gateway, session = peers.Gateway(binary).start(lab, app, PAGE)
    openid = others.apache_openid(lab, app, PAGE)

    def signed_in_anew():
        others.sign_in_anew(openid, PAGE)
        return openid.target()

    beside = [
        peers.nginx(lab, app, PAGE, session=session),
        peers.haproxy(lab, app, PAGE, session=session),
        others.haproxy_jwt(lab, app, PAGE),
        others.nginx_auth_request(lab, app, PAGE, session),
        others.apache(lab, app, PAGE, session=session),
        others.caddy(lab, app, PAGE, tools, session=session),
    ]
    pairs = [(server.name, gateway.target(), server.target()) for server in beside]
    pairs.append((openid.name, gateway.target(), signed_in_anew))
    return twin_table("Authenticated request, HTTP/1.1, 1 KiB",
                      twin.compare(settings, pairs, twin.of_kind(settings, "closed")), {"nginx": 1.10})


def quick(lab, settings, binary, _):
    """The same beside bare nginx alone, for whoever is changing something."""
    app = peers.upstream(lab)
    gateway, session = peers.Gateway(binary).start(lab, app, PAGE)
    nginx = peers.nginx(lab, app, PAGE, session=session)
    twins = twin.compare(settings, [("nginx", gateway.target(), nginx.target())], twin.of_kind(settings, "closed"))
    return twin_table("Authenticated request beside bare nginx", twins, {"nginx": 1.10})


def ed25519(lab, settings, binary, _):
    """A member's request, signed with Ed25519."""
    app = peers.upstream(lab)
    gateway, session = peers.Gateway(binary, algorithm="ed25519").start(lab, app, PAGE)
    nginx = peers.nginx(lab, app, PAGE, session=session)
    twins = twin.compare(settings, [("nginx", gateway.target(), nginx.target())], twin.of_kind(settings, "closed"))
    return twin_table("Authenticated request, signed with Ed25519", twins, {"nginx": 1.75})


def public(lab, settings, binary, _):
    """A request that anybody may make."""
    app = peers.upstream(lab)
    gateway, session = peers.Gateway(binary).start(lab, app, ASSET)
    beside = [peers.nginx(lab, app, ASSET, session=session), peers.haproxy(lab, app, ASSET, session=session)]
    pairs = [(server.name, gateway.target(), server.target()) for server in beside]
    return twin_table("Public request, HTTP/1.1, 1 KiB",
                      twin.compare(settings, pairs, twin.of_kind(settings, "closed")), {"nginx": 1.05})


def http2(lab, settings, binary, _):
    """A member's request over HTTP/2 and TLS: 16 connections of 8 streams each."""
    app, tls = peers.upstream(lab), peers.certificate(lab)
    gateway, session = peers.Gateway(binary).start(lab, app, PAGE, tls=tls)
    beside = [peers.nginx(lab, app, PAGE, tls=tls, session=session), peers.haproxy(lab, app, PAGE, tls=tls, session=session)]

    def measure(servers):
        before = [processor_seconds(server.processes) for server in servers]
        running = [h2load(server, settings.seconds) for server in servers]
        answered = [answers(server, process) for server, process in zip(servers, running)]
        after = [processor_seconds(server.processes) for server in servers]
        return [(then - now) / count * 1e6 for then, now, count in zip(after, before, answered)]

    # A server is no function: `compare` hands them on as they are.
    pairs = [(server.name, gateway, server) for server in beside]
    return twin_table("Authenticated request, HTTP/2 over TLS, 1 KiB", twin.compare(settings, pairs, measure),
                      {"nginx": 0.95, "HAProxy": 1.00})


def h2load(server, seconds):
    first, *fields = server.request.strip().split("\r\n")
    host = next(field.split(": ")[1] for field in fields if field.startswith("Host: "))
    # Fields that only HTTP/1.1 knows stay out (RFC 9113, section 8.2.2); the authority comes out of the URL.
    sent = [f"--header={field}" for field in fields if not field.startswith(("Host: ", "Connection: "))]
    return subprocess.Popen(
        ["taskset", "--cpu-list", str(LOADING), "h2load", "--threads=1", "--clients=16", "--max-concurrent-streams=8",
         f"--duration={max(1, round(seconds))}", f"--connect-to=127.0.0.1:{server.port}", *sent,
         f"https://{host}{first.split()[1]}"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def answers(server, process):
    said = process.communicate(timeout=120)[0]
    if "Application protocol: h2" not in said:
        raise Failure(f"{server.name} does not speak HTTP/2:\n{said[-800:]}")
    done, failed = (int(re.search(rf"(\d+) {what}", said).group(1)) for what in ("2xx", "failed"))
    others_than_2xx = re.search(r"(\d+) 3xx, (\d+) 4xx, (\d+) 5xx", said).groups()
    content = int(re.search(r"\((\d+)\) data", said).group(1))
    # Answers that were under way when the time was over have brought a part of their content, or their head alone.
    if not done or failed or any(map(int, others_than_2xx)) or abs(content - done * peers.SMALL) > 128 * peers.SMALL:
        raise Failure(f"{server.name} answered otherwise than expected:\n{said[-800:]}")
    return done


def handshakes(lab, settings, binary, _):
    """Full TLS 1.3 handshakes, each with a request that the server answers itself, and a reset."""
    app, tls = peers.upstream(lab), peers.certificate(lab)
    gateway, _ = peers.Gateway(binary).start(lab, app, ITSELF, tls=tls)
    beside = [peers.nginx(lab, app, "/itself", tls=tls), peers.haproxy(lab, app, "/itself", tls=tls)]
    brief = {"connections": 8, "length": len(peers.ITSELF)}
    pairs = [
        (f"{server.name}, gateway with {exchange}", gateway.target(**brief, tls=exchange), server.target(**brief, tls="X25519"))
        for server in beside for exchange in ("X25519", "X25519MLKEM768")
    ]
    lines = {"nginx, gateway with X25519": 0.50, "nginx, gateway with X25519MLKEM768": 0.60}
    twins = twin.compare(settings, pairs, twin.of_kind(settings, "handshake"))
    return twin_table("Full TLS 1.3 handshake, P-256 certificate; the peers with X25519", twins, lines, what="handshake")


def bodies(lab, settings, binary, _):
    """1 MiB to a member, 16 connections."""
    app = peers.upstream(lab)
    gateway, session = peers.Gateway(binary).start(lab, app, LARGE)
    beside = [peers.haproxy(lab, app, LARGE, session=session), peers.nginx(lab, app, LARGE, session=session)]
    some = {"connections": 16, "length": peers.LARGE}
    pairs = [(server.name, gateway.target(**some), server.target(**some)) for server in beside]

    def measure(targets):
        return [peers.LARGE / cost / 1e3 for cost in twin.of_kind(settings, "closed")(targets)]

    rows = []
    for found in twin.compare(settings, pairs, measure):
        line = verdict(found.ratio.median, 1.40, at_most=False) if found.name == "HAProxy" else ""
        rows.append([found.name, found.gateway.text(2), found.peer.text(2), found.ratio.text(2), line])
    return table("1 MiB bodies, authenticated", ["beside", "gateway, GB per CPU second", "peer, the same", "ratio", "line"], rows)


def idle(lab, settings, binary, _):
    """What 10,000 connections cost that have had an answer and rest."""
    app = peers.upstream(lab)
    rows = []
    gateway, session = peers.Gateway(binary).start(lab, app, PAGE)
    for server in [gateway, peers.nginx(lab, app, PAGE, session=session), peers.haproxy(lab, app, PAGE, session=session)]:
        fresh = proportional_kib(server.processes)
        plan = {"kind": "idle", "warm_up": 0, "seconds": 0, "targets": [server.target(IDLE)]}
        holder = subprocess.Popen(["taskset", "--cpu-list", str(LOADING), settings.load],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            holder.stdin.write(json.dumps(plan) + "\n")
            holder.stdin.flush()
            if holder.stdout.readline().strip() != str(IDLE):
                raise Failure(f"{server.name} did not take {IDLE} connections")
            # Whoever gives memory back after a while has had that while.
            time.sleep(10)
            full = proportional_kib(server.processes)
        finally:
            holder.stdin.close()
            holder.wait(30)
        each = (full - fresh) / IDLE
        line = verdict(each, 24, 0) if server is gateway else ""
        rows.append([server.name, f"{fresh / 1024:.1f}", f"{full / 1024:.1f}", f"{each:.1f}", line])
    return table("10 000 idle connections, plain HTTP, one request each",
                 ["server", "fresh, MiB", "with them, MiB", "KiB each", "line"], rows)


def latency(lab, settings, binary, _):
    """2,000 requests a second over 64 connections; latency from when a request was due."""
    app = peers.upstream(lab)
    gateway, session = peers.Gateway(binary).start(lab, app, PAGE)
    servers = [gateway, peers.nginx(lab, app, PAGE, session=session), peers.haproxy(lab, app, PAGE, session=session)]
    found = {server.name: [] for server in servers}
    for _ in range(settings.rounds):
        for server in servers:
            found[server.name] += twin.run(settings, "held", [server.target(64)], rate=RATE)
    medians = {name: statistics.median(round["p50"] for round in rounds) for name, rounds in found.items()}
    rows = []
    for name, rounds in found.items():
        more = (medians[name] - medians["nginx"]) / 1e3
        spread = [Spread([round[share] / 1e3 for round in rounds]).text(2) for share in ("p50", "p90", "p99")]
        used = Spread([twin.cost(round) for round in rounds]).text(0)
        rows.append([name, *spread, used, f"{more:+.2f}", verdict(more, 0.10) if name == gateway.name else ""])
    return table("Latency at 2 000 requests/s, authenticated",
                 ["server", "p50 ms", "p90 ms", "p99 ms", "CPU µs", "p50 beyond nginx, ms", "line"], rows)


def growth(lab, settings, binary, _):
    """Many sites and many rules beside one of each, and many ended sessions beside none."""
    app = peers.upstream(lab)
    small, _ = peers.Gateway(binary).start(lab, app, PAGE)
    again, _ = peers.Gateway(binary).start(lab, app, PAGE, name="again")
    sites, _ = peers.Gateway(binary, sites=1000).start(lab, app, PAGE, name="sites", host="s500.localhost")
    rules, _ = peers.Gateway(binary, rules=500).start(lab, app, PAGE, name="rules")
    file = lab.subfolder("ended") / "revocations"
    configured = peers.Gateway(binary, store=f"file:{file}")
    twin.load(settings, {"kind": "ended", "file": str(file), "key": configured.key, "count": ENDED})
    ended, _ = configured.start(lab, app, PAGE, name="ended")
    large = [("the same again (noise)", again), ("1 000 sites", sites), ("500 rules", rules), ("10^6 ended sessions", ended)]
    pairs = [(name, server.target(), small.target()) for name, server in large]
    lines = dict.fromkeys(["1 000 sites", "500 rules", "10^6 ended sessions"], 1.03)
    twins = twin.compare(settings, pairs, twin.of_kind(settings, "closed"))
    rows = [[found.name, found.gateway.text(), found.peer.text(), found.ratio.text(3),
             verdict(found.ratio.median, lines[found.name]) if found.name in lines else ""] for found in twins]
    return table("Growth, authenticated requests", ["gateway with", "CPU µs", "with one or none, CPU µs", "ratio", "line"], rows)


def start(lab, settings, binary, _):
    """From the start of the program to its first answer, and its size."""
    app = peers.upstream(lab)
    folder = lab.subfolder("start")
    taken = []
    for _ in range(max(10, settings.rounds)):
        port = free_port()
        (folder / "gateway.toml").write_text(peers.Gateway(binary).text(port, app, None))
        began = time.monotonic()
        with lab.during():
            child = lab.start("start", [binary, "run", "--config", folder / "gateway.toml"])
            first_answer(child, port)
            taken.append((time.monotonic() - began) * 1e3)
    size = binary.stat().st_size / 1024 / 1024
    rows = [["start to first answer, ms", Spread(taken).text(), verdict(statistics.median(taken), 50, 0)],
            ["release binary, MiB", f"{size:.1f}", verdict(size, 15, 0)]]
    return table("Start and size", ["what", "gateway", "line"], rows)


def first_answer(child, port):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and child.process.poll() is None:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            link.request("GET", ITSELF)
            if link.getresponse().read() == b"ok\n":
                return
        except OSError:
            time.sleep(0.001)
        finally:
            link.close()
    raise Failure(f"no answer:\n{child.log.read_text()[-1000:]}")
