"""The tables, one function each: what runs beside what, and which line it is held against."""

from . import peers, twin

PAGE, ASSET = "/classes?week=2", "/assets/site.css"


def authenticated(lab, settings, binary):
    """A member's request: cookie opened, fields cleaned, signed with HMAC."""
    app = peers.upstream(lab)
    gateway, session = peers.Gateway(binary).start(lab, app, PAGE)
    others = [("nginx", peers.nginx(lab, app, PAGE, session=session)),
              ("HAProxy", peers.haproxy(lab, app, PAGE, session=session))]
    pairs = [(name, gateway.target(), other.target()) for name, other in others]
    return twin.twin_table(
        "Authenticated request, HTTP/1.1, 1 KiB", twin.compare(settings, pairs), {"nginx": 1.10})


def ed25519(lab, settings, binary):
    """The same, signed with Ed25519."""
    app = peers.upstream(lab)
    gateway, session = peers.Gateway(binary, algorithm="ed25519").start(lab, app, PAGE)
    nginx = peers.nginx(lab, app, PAGE, session=session)
    pairs = [("nginx", gateway.target(), nginx.target())]
    return twin.twin_table(
        "Authenticated request, signed with Ed25519", twin.compare(settings, pairs), {"nginx": 1.75})


def public(lab, settings, binary):
    """A request that anybody may make."""
    app = peers.upstream(lab)
    gateway, session = peers.Gateway(binary).start(lab, app, ASSET)
    others = [("nginx", peers.nginx(lab, app, ASSET, session=session)),
              ("HAProxy", peers.haproxy(lab, app, ASSET, session=session))]
    pairs = [(name, gateway.target(), other.target()) for name, other in others]
    return twin.twin_table("Public request, HTTP/1.1, 1 KiB", twin.compare(settings, pairs), {"nginx": 1.05})
