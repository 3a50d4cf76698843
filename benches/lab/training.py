"""What a program is asked for so that it can be built for what it is asked for: some of everything that is asked often."""

from . import browser, peers, tables, twin

# The same for every kind of work: what takes longer is asked for less often, and weighs as much.
SECONDS = 3.0
ALGORITHMS = ["hmac-sha256", "ed25519"]
LINES_OF_A_SCRIPT = ["Host: {host}", "Accept: application/json", "X-Requested-With: XMLHttpRequest", "Cookie: {session}"]


def train(lab, load, binary):
    """Puts the program under load; it writes down what it did when it ends."""
    settings = twin.Settings(load, rounds=1, seconds=SECONDS)
    app = peers.upstream(lab)
    for algorithm in ALGORITHMS:
        with lab.during():
            plain(lab, settings, peers.Gateway(binary, algorithm=algorithm), app)
    tls = peers.certificate(lab)
    with lab.during():
        secured(lab, settings, peers.Gateway(binary), app, tls)


def plain(lab, settings, gateway, app):
    """HTTP/1.1: pages of members, parts that everybody may see, scripts, forms that are sent, and large answers."""
    server, session = gateway.start(lab, app, tables.PAGE)
    host = f"localhost:{server.port}"

    def ask(request, **more):
        server.request = request
        twin.run(settings, "closed", [server.target(**more)])

    ask(browser.request("/account/bookings", host, session))
    ask(browser.request(tables.ASSET, host, session))
    ask(browser.request(tables.ASSET, host))
    ask(script("GET /api/classes?from=2026-11-01&to=2026-11-30 HTTP/1.1", host, session))
    ask(script("POST /api/bookings HTTP/1.1", host, session, b"class=spinning&seat=12&note=" + b"x" * 200))
    ask(browser.request(tables.LARGE, host, session), connections=16, length=peers.LARGE)


def script(line, host, session, body=b""):
    """A request of a page's script."""
    lines = [line, *(each.format(host=host, session=session) for each in LINES_OF_A_SCRIPT)]
    if body:
        lines += ["Sec-Fetch-Site: same-origin", "Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", body.decode()])


def secured(lab, settings, gateway, app, tls):
    """Handshakes, and HTTP/2 within them."""
    server, session = gateway.start(lab, app, tables.ITSELF, tls=tls)
    for exchange in ("X25519", "X25519MLKEM768"):
        target = server.target(connections=8, length=len(peers.ITSELF), tls=exchange)
        twin.run(settings, "handshake", [target])
    for path in ("/account/bookings", tables.ASSET):
        server.request = browser.request(path, f"localhost:{server.port}", session)
        tables.answers(server, tables.h2load(server, SECONDS))
