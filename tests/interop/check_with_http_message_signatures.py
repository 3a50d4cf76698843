"""Checks a signature of ours with somebody else's implementation: the PyPI package http-message-signatures.

    check_with_http_message_signatures.py --algorithm hmac-sha256|ed25519 --keyid ID [--key KEY] < HEAD

HEAD is a request head as the upstream app got it: the request line, the fields, CRLF or LF. KEY, or the environment's
MEMBER_GATEWAY_SIGNING_KEY, is base64url: the shared secret, or the 32-byte public key (`x` in the JWK Set). Exit status 0 and
the covered components, one "name: value" a line, where the signature labelled "member" holds; 1 and the reason where
it does not; 2 where the question makes no sense. Times are checked against this machine's clock.

The base is derived by the package from the message, not taken from us: from a URL, as its own users give it one.
"""

import argparse
import base64
import datetime
import os
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageVerifier,
    InvalidSignature,
    algorithms,
)
from http_message_signatures.resolvers import MappingKeyResolver

ALGORITHMS = {"hmac-sha256": algorithms.HMAC_SHA256, "ed25519": algorithms.ED25519}
REQUIRED = ("@method", "@authority", "@path", "@query", "x-member-id", "x-member-unit-id", "x-member-provider")


class Fields:
    """Field lines in their order, repeated ones included."""

    def __init__(self, lines):
        self.lines = lines

    def items(self):
        return self.lines


class Request:
    """What the package asks a message for: a method, an absolute URL and the fields."""

    def __init__(self, head):
        request_line, *lines = head.replace("\r\n", "\n").split("\n\n", 1)[0].rstrip("\n").split("\n")
        self.method, target, _version = request_line.split(" ")
        pairs = [line.split(":", 1) for line in lines]
        self.headers = Fields([(name, value.strip(" \t")) for name, value in pairs])
        (authority,) = (value for name, value in self.headers.items() if name.lower() == "host")
        # The package leaves out a port that is the scheme's default, and the gateway has already done so: whatever
        # port is still there is to stay.
        scheme = "http" if authority.endswith(":443") else "https"
        self.url = f"{scheme}://{authority}{target}"


def arguments():
    parser = argparse.ArgumentParser(description="Check a request's member signature; the request head is read from stdin.")
    parser.add_argument("--algorithm", required=True, choices=sorted(ALGORITHMS))
    parser.add_argument("--keyid", required=True)
    parser.add_argument("--key", default=os.environ.get("MEMBER_GATEWAY_SIGNING_KEY"), help="base64url")
    parser.add_argument("--max-age", type=int, default=3600, help="seconds since created (default: %(default)s)")
    parser.add_argument("--require", nargs="*", default=REQUIRED, metavar="COMPONENT", help="components that must be covered")
    given = parser.parse_args()
    if not given.key:
        parser.error("no key: give --key or MEMBER_GATEWAY_SIGNING_KEY")
    return given


def main():
    given = arguments()
    key = base64.urlsafe_b64decode(given.key + "=" * (-len(given.key) % 4))
    if given.algorithm == "ed25519":
        key = Ed25519PublicKey.from_public_bytes(key)
    verifier = HTTPMessageVerifier(
        signature_algorithm=ALGORITHMS[given.algorithm],
        key_resolver=MappingKeyResolver(public_keys={given.keyid: key}, private_keys={}),
    )
    try:
        request = Request(sys.stdin.buffer.read().decode("latin-1"))
    except ValueError as error:
        print(f"that is no request head: {error}", file=sys.stderr)
        return 2
    try:
        (result,) = verifier.verify(
            request,
            max_age=datetime.timedelta(seconds=given.max_age),
            expect_label="member",
            expect_tag="member-gateway",
            require_components=given.require,
        )
    except (InvalidSignature, HTTPMessageSignaturesException) as error:
        print(f"the signature does not hold: {error or type(error).__name__}", file=sys.stderr)
        return 1
    for name, value in result.covered_components.items():
        print(f"{name}: {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
