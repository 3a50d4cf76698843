"""Verifies who member-gateway says is asking: RFC 9421, label "member", algorithm hmac-sha256.

Copy `verify` into your app. Run as a program, this file is a small app of its own that answers with what it found:
    PORT=3000 MEMBER_GATEWAY_SIGNING_KEY=... MEMBER_GATEWAY_SIGNING_KEY_ID=2026-11 python3 verify.py
"""
import base64, hashlib, hmac, os, re, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FIELDS = ["x-member-id", "x-member-unit-id", "x-member-provider"]  # what this app relies on: its list, not the message's
COVERED = " ".join(f'"{name}"' for name in ["@method", "@authority", "@path", "@query", *FIELDS])
SKEW = 5  # seconds by which the gateway's clock may be ahead of ours
INPUT = re.compile(r'member=(\(([^()]*)\);created=([0-9]{1,15});expires=([0-9]{1,15});nonce="[^"\\]*";keyid="([^"\\]*)"'
                   r';alg="([^"\\]*)";tag="([^"\\]*)")[ \t]*(?:,(?!(?:.*,)?[ \t]*member=).*)?')
SIGNATURE = re.compile(r"member=:([A-Za-z0-9+/]+={0,2}):[ \t]*(?:,(?!(?:.*,)?[ \t]*member=).*)?")


class Refused(Exception):
    """Nobody is signed in as far as this request goes; the text says why."""


def verify(method, target, fields, keys, now):
    """The three identity values, or Refused. `target` is the raw request target, `fields` maps lower-case names to
    trimmed values (several lines of one name joined with ", "), `keys` maps a key id to the secret's bytes."""
    if "signature-input" not in fields or "signature" not in fields:
        raise Refused("no-signature")
    entry, signature = INPUT.fullmatch(fields["signature-input"]), SIGNATURE.fullmatch(fields["signature"])
    if not entry or not signature:
        raise Refused("malformed-signature")
    parameters, covered, created, expires, keyid, alg, tag = entry.groups()
    if covered != COVERED: raise Refused("wrong-components")
    if alg != "hmac-sha256": raise Refused("wrong-algorithm")
    if keyid not in keys: raise Refused("unknown-key")
    if tag != "member-gateway": raise Refused("wrong-tag")
    if int(created) > now + SKEW: raise Refused("not-yet-valid")
    if int(expires) <= now: raise Refused("expired")
    if any(name not in fields for name in ["host", *FIELDS]): raise Refused("missing-field")
    path, _, query = target.partition("?")
    values = [method, fields["host"], path, "?" + query, *(fields[name] for name in FIELDS)]
    lines = [f"{name}: {value}" for name, value in zip(covered.split(" "), values)]
    base = "\n".join([*lines, f'"@signature-params": {parameters}']).encode("latin-1")
    expected = base64.b64encode(hmac.digest(keys[keyid], base, hashlib.sha256))
    if not hmac.compare_digest(expected, signature[1].encode()):
        raise Refused("wrong-signature")
    return [fields[name] for name in FIELDS]


class Page(BaseHTTPRequestHandler):
    def answer(self):
        fields = {name.lower(): ", ".join(v.strip(" \t") for v in self.headers.get_all(name)) for name in self.headers}
        try:  # the request line, because self.path has already been tidied up
            member = verify(self.command, self.requestline.split(" ")[1], fields, KEYS, time.time())
            status, text = 200, "member {} of unit {} ({})".format(*member)
        except Refused as reason:
            status, text = 401, str(reason)
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(f"{text}\n".encode("latin-1"))

    def log_message(self, *_):
        pass  # the request line can hold what should not be in a log

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer


if __name__ == "__main__":
    secret = os.environ["MEMBER_GATEWAY_SIGNING_KEY"]
    key = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    KEYS = {os.environ.get("MEMBER_GATEWAY_SIGNING_KEY_ID", "2026-11"): key}
    if len(key) < 32:
        raise SystemExit("MEMBER_GATEWAY_SIGNING_KEY must be at least 32 bytes, base64url")
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
