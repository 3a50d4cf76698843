"""Verifies who member-gateway says is asking (RFC 9421, label "member"). Python 3.8 or later; copy this file.

    from member_gateway import HmacKey, JwkSet, MemberWsgi, MemberAsgi, verify

    keys = {"2026-11": HmacKey("…base64url, the key in gateway.toml…")}     # ids and keys of [identity.signature]
    keys = JwkSet("https://members.example.org/_gateway/keys")              # or ed25519 and ecdsa: `pip install cryptography`

    app.wsgi_app = MemberWsgi(app.wsgi_app, keys, authority="members.example.org")   # Flask; Django: wrap `application`
    app = MemberAsgi(app, keys, authority="members.example.org")                     # Starlette, FastAPI, Quart

The member is environ["member"], or scope["member"]: a dict such as {"x-member-id": "400007995-00", …}. Everybody else gets
401, unless `anonymous=True`: then whoever carries no signature passes as None, without the identity fields. Without a
framework call `verify(method, target, fields, keys)`, which gives that dict or raises Refused with the name of the error.
"""
import asyncio, base64, hashlib, hmac, json, re, threading, time, urllib.parse, urllib.request

# The identity fields this app reads, in the order in which the gateway sends them; "name?" need not be sent.
FIELDS = ("x-member-id", "x-member-unit-id", "x-member-provider")
TOLERANCE = 5  # seconds by which the clocks of gateway and app may differ

_INPUT = re.compile(r'member=(\(([^()]*)\);created=([0-9]{1,15});expires=([0-9]{1,15});nonce="([ !#-\[\]-~]*)"'
                    r';keyid="([ !#-\[\]-~]*)";alg="([ !#-\[\]-~]*)";tag="([ !#-\[\]-~]*)")[ \t]*(?=,|\Z)')
_SIGNATURE = re.compile(r"member=:([A-Za-z0-9+/]+={0,2}):[ \t]*(?=,|\Z)")
_AGAIN = re.compile(r",[ \t]*member(?![a-z0-9_.*-])")  # a second entry under our label


class Refused(Exception):
    """Nobody is signed in as far as this request goes. The text is the name of the error, for your log."""


class NoRawTarget(Exception):
    """The server does not say what stood in the request line. That is a matter of its configuration."""


class HmacKey:
    """The secret that app and gateway share."""
    algorithm = "hmac-sha256"

    def __init__(self, secret):
        self._secret = _unbase64url(secret)
        if len(self._secret) < 32:
            raise ValueError("an hmac-sha256 key is at least 32 bytes, base64url")

    def verifies(self, base, signature):
        return hmac.compare_digest(hmac.new(self._secret, base, hashlib.sha256).digest(), signature)


class PublicKey:
    """An ed25519 or P-256 key, from a JWK (RFC 7517). Python's own library has neither: `cryptography` verifies."""

    def __init__(self, jwk):
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519
        if (jwk.get("kty"), jwk.get("crv")) == ("OKP", "Ed25519"):
            self.algorithm = "ed25519"
            self._key = ed25519.Ed25519PublicKey.from_public_bytes(_unbase64url(jwk["x"]))
        elif (jwk.get("kty"), jwk.get("crv")) == ("EC", "P-256"):
            self.algorithm = "ecdsa-p256-sha256"
            x, y = (int.from_bytes(_unbase64url(jwk[name]), "big") for name in "xy")
            self._key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        else:
            raise ValueError("neither an Ed25519 nor a P-256 key")

    def verifies(self, base, signature):
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils
        try:
            if self.algorithm == "ed25519":
                self._key.verify(signature, base)
            else:
                if len(signature) != 64:
                    return False
                r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
                self._key.verify(utils.encode_dss_signature(r, s), base, ec.ECDSA(hashes.SHA256()))
            return True
        except InvalidSignature:
            return False


class JwkSet:
    """The public keys of a site, fetched when they are needed, again after an hour, and at most once a minute."""

    def __init__(self, url, max_age=3600, retry=60):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("keys come over https, or nobody knows whose they are")
        self._url, self._max_age, self._retry = url, max_age, retry
        self._keys, self._fetched, self._tried, self._lock = None, 0, None, threading.Lock()

    def get(self, keyid, now=None):
        now = time.time() if now is None else now
        with self._lock:
            stale = self._keys is None or keyid not in self._keys or now >= self._fetched + self._max_age
            if stale and (self._tried is None or now >= self._tried + self._retry):
                self._tried = now
                try:
                    with urllib.request.urlopen(self._url, timeout=5) as answer:
                        self._keys, self._fetched = _public_keys(json.load(answer)), now
                except (OSError, ValueError, KeyError):
                    pass  # what is known already stays
            if self._keys is None:
                raise Refused("keys-unavailable")
            return self._keys.get(keyid)


class Nonces:
    """Remembers the nonces of this process, so that no request is taken twice. Several processes need a common store:
    a function of the same arguments that says whether the nonce is new, such as SET NX EXAT in Redis."""

    def __init__(self):
        self._seen, self._lock = {}, threading.Lock()

    def __call__(self, nonce, until, now):
        with self._lock:
            self._seen = {known: end for known, end in self._seen.items() if end > now}
            if nonce in self._seen:
                return False
            self._seen[nonce] = until
            return True


def verify(method, target, fields, keys, names=FIELDS, authority=None, nonces=None, tolerance=TOLERANCE, now=None):
    """The identity fields with their values, or Refused.

    `target` is the raw request target, `fields` are pairs of name and value in Latin-1, `keys` maps ids to keys.
    `authority` is the Host of this app: needed where one key signs for several sites. `nonces` may be a Nonces.
    """
    now = time.time() if now is None else now
    values = {}
    for name, value in fields:
        values.setdefault(name.lower(), []).append(value.strip(" \t"))
    given, signed = (", ".join(values.get(name, [])) for name in ("signature-input", "signature"))
    if not given.startswith("member=") or not signed.startswith("member="):
        raise Refused("no-signature")
    known = [name.rstrip("?") for name in names]
    guarded = {_folded(name): name for name in [*known, "signature-input"]}
    if any(guarded.get(_folded(name), name) != name for name in values):
        raise Refused("look-alike-field")
    if any(len(values.get(name, [])) > 1 or "," in "".join(values.get(name, [])) for name in [*known, "host"]):
        raise Refused("duplicated-field")
    entry, signature = _INPUT.match(given), _SIGNATURE.match(signed)
    if not entry or not signature or _AGAIN.search(given, entry.end()) or _AGAIN.search(signed, signature.end()):
        raise Refused("malformed-signature")
    parameters, covered, created, expires, nonce, keyid, alg, tag = entry.groups()
    signature = _unbase64(signature[1])
    sent = [name.rstrip("?") for name in names if not name.endswith("?") or name.rstrip("?") in values]
    components = [f'"{name}"' for name in ["@method", "@authority", "@path", "@query", *sent]]
    if covered != " ".join(components):
        raise Refused("wrong-components")
    key = keys.get(keyid, now) if isinstance(keys, JwkSet) else keys.get(keyid)
    if key is None:
        raise Refused("unknown-key")
    if alg != key.algorithm:
        raise Refused("wrong-algorithm")
    if tag != "member-gateway":
        raise Refused("wrong-tag")
    if int(created) > now + tolerance:
        raise Refused("not-yet-valid")
    if int(expires) + tolerance <= now:
        raise Refused("expired")
    host, *member = ("".join(values.get(name, [])) for name in ["host", *sent])
    if not host or not all(member):
        raise Refused("missing-field")
    path, _, query = target.partition("?")
    lines = [method, host, path, f"?{query}", *member]
    if not all(re.fullmatch(r"[ -~]*", line) for line in lines):
        raise Refused("malformed-value")
    if authority is not None and host != authority:
        raise Refused("wrong-authority")
    lines = [f"{component}: {line}" for component, line in zip(components, lines)]
    base = "\n".join([*lines, f'"@signature-params": {parameters}']).encode("ascii")
    if not key.verifies(base, signature):
        raise Refused("wrong-signature")
    if nonces is not None and not nonces(nonce, int(expires) + tolerance, now):
        raise Refused("replayed")
    return dict(zip(sent, member))


class MemberWsgi:
    """WSGI middleware (PEP 3333). PATH_INFO is decoded, so the server has to say what stood in the request line:
    RAW_URI (gunicorn, Werkzeug) or REQUEST_URI (uWSGI, mod_wsgi)."""

    def __init__(self, app, keys, anonymous=False, names=FIELDS, **options):
        self._app, self._keys, self._anonymous, self._names, self._options = app, keys, anonymous, names, options

    def __call__(self, environ, start_response):
        try:
            environ["member"] = self.member(environ)
        except Refused as refused:
            start_response("401 Unauthorized", [("Content-Type", "text/plain"), ("Cache-Control", "no-store")])
            return [f"{refused}\n".encode()]
        return self._app(environ, start_response)

    def member(self, environ):
        target = environ.get("RAW_URI") or environ.get("REQUEST_URI")
        if target is None:
            raise NoRawTarget("no-raw-target: this WSGI server gives neither RAW_URI nor REQUEST_URI. PATH_INFO is decoded, "
                              "and the signature is over the raw path. gunicorn, uWSGI and mod_wsgi give it.")
        fields = [(name[5:].replace("_", "-"), value) for name, value in environ.items() if name.startswith("HTTP_")]
        try:
            return verify(environ["REQUEST_METHOD"], target, fields, self._keys, self._names, **self._options)
        except Refused as refused:
            if not self._anonymous or str(refused) != "no-signature":
                raise
            identity = {_folded(name.rstrip("?")) for name in self._names}
            for name in [name for name in environ if name.startswith("HTTP_") and _folded(name[5:]) in identity]:
                del environ[name]
            return None


class MemberAsgi:
    """ASGI middleware, for HTTP and WebSockets."""

    def __init__(self, app, keys, anonymous=False, names=FIELDS, **options):
        self._app, self._keys, self._anonymous, self._names, self._options = app, keys, anonymous, names, options

    async def __call__(self, scope, receive, send):
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        try:
            scope = await self.scope(scope)
        except Refused as refused:
            if scope["type"] == "websocket":
                return await send({"type": "websocket.close", "code": 1008})
            fields = [(b"content-type", b"text/plain"), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": 401, "headers": fields})
            return await send({"type": "http.response.body", "body": f"{refused}\n".encode()})
        await self._app(scope, receive, send)

    async def scope(self, scope):
        raw = scope.get("raw_path")
        if raw is None:
            raise NoRawTarget("no-raw-target: this ASGI server gives no raw_path. `path` is decoded, and the signature is "
                              "over the raw path. uvicorn and hypercorn give it.")
        target = (raw + b"?" + scope["query_string"]).decode("latin-1")
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        arguments = (scope.get("method", "GET"), target, fields, self._keys, self._names)
        try:
            if isinstance(self._keys, JwkSet):  # which may have to fetch
                call = asyncio.get_running_loop().run_in_executor(None, lambda: verify(*arguments, **self._options))
                return {**scope, "member": await call}
            return {**scope, "member": verify(*arguments, **self._options)}
        except Refused as refused:
            if not self._anonymous or str(refused) != "no-signature":
                raise
            identity = {_folded(name.rstrip("?")) for name in self._names}
            rest = [pair for pair in scope["headers"] if _folded(pair[0].decode("latin-1")) not in identity]
            return {**scope, "headers": rest, "member": None}


def _folded(name):
    """A name as CGI and its heirs read it: X_Member.Id is X-Member-Id to them."""
    return re.sub(r"[^a-z0-9]", "-", name.lower())


def _unbase64(text):
    try:
        decoded = base64.b64decode(text, validate=True)
    except ValueError:
        raise Refused("malformed-signature") from None
    if base64.b64encode(decoded).decode() != text:
        raise Refused("malformed-signature")
    return decoded


def _unbase64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _public_keys(jwk_set):
    kinds = [("OKP", "Ed25519"), ("EC", "P-256")]
    return {jwk["kid"]: PublicKey(jwk) for jwk in jwk_set["keys"] if (jwk.get("kty"), jwk.get("crv")) in kinds}
