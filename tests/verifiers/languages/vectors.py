"""The vectors before the verifier in Python: `verify` itself, and both kinds of middleware."""
import asyncio, json, os, sys

sys.dont_write_bytecode = True
sys.path.insert(0, "verify")
from member_gateway import HmacKey, JwkSet, MemberAsgi, MemberWsgi, NoRawTarget, Nonces, PublicKey, Refused, verify

FILE = json.load(open("tests/data/signature-vectors.json"))
KEYS = {label: HmacKey(key["secret"]) if "secret" in key else PublicKey(key["jwk"]) for label, key in FILE["keys"].items()}
mistakes = []


def settings(vector):
    own = vector["verifier"]
    options = {name: own[name] for name in ("authority",) if name in own}
    options["names"] = own.get("fields", ["x-member-id", "x-member-unit-id", "x-member-provider"])
    if "nonces" in own:
        options["nonces"] = Nonces()
        assert all(options["nonces"](nonce, vector["now"] + 60, vector["now"]) for nonce in own["nonces"])
    return {FILE["keys"][label]["id"]: KEYS[label] for label in own["keys"]}, {**options, "now": vector["now"]}


def compare(how, vector, call, expected):
    keys, options = settings(vector)
    try:
        found = {"member": call(keys, options)}
    except Refused as refused:
        found = {"error": str(refused)}
    remembered = sorted(options["nonces"]._seen) if "nonces" in options else None
    if found != expected or remembered != (sorted(vector["remembered"]) if "remembered" in vector else None):
        mistakes.append(f"{how}: {vector['name']}: {found}, {remembered}")


def environ(vector):
    """What a server makes of a request: one variable for a name, lines joined."""
    found = {"REQUEST_METHOD": vector["method"], "RAW_URI": vector["target"], "PATH_INFO": "/decoded"}
    for name, value in vector["fields"]:
        name = "HTTP_" + name.upper().replace("-", "_")
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def scope(vector):
    path, _, query = vector["target"].encode("latin-1").partition(b"?")
    fields = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in vector["fields"]]
    return {"type": "http", "method": vector["method"], "path": "/decoded", "raw_path": path, "query_string": query, "headers": fields}


for vector in FILE["vectors"]:
    expected = vector["expected"]
    compare("verify", vector, lambda keys, options: verify(vector["method"], vector["target"], vector["fields"], keys, **options), expected)
    compare("WSGI", vector, lambda keys, options: MemberWsgi(None, keys, **options).member(environ(vector)), vector.get("folded", expected))
    compare("ASGI", vector, lambda keys, options: asyncio.run(MemberAsgi(None, keys, **options).scope(scope(vector)))["member"], expected)

# Without the raw path nothing is guessed.
usual = FILE["vectors"][0]
for how, call in [
    ("WSGI", lambda: MemberWsgi(None, {}).member({**environ(usual), "RAW_URI": None})),
    ("ASGI", lambda: asyncio.run(MemberAsgi(None, {}).scope({**scope(usual), "raw_path": None}))),
]:
    try:
        mistakes.append(f"{how} without a raw path: {call()}")
    except NoRawTarget as error:
        assert str(error).startswith("no-raw-target: ")

# The anonymous pass without the fields they wrote themselves, and with a bad signature nobody does.
unsigned = next(vector for vector in FILE["vectors"] if vector["name"].endswith(": identity fields alone"))
passed = environ(unsigned)
if MemberWsgi(None, {}, anonymous=True).member(passed) is not None or "HTTP_X_MEMBER_ID" in passed:
    mistakes.append("WSGI: the anonymous keep what they wrote")
passed = asyncio.run(MemberAsgi(None, {}, anonymous=True).scope(scope(unsigned)))
if passed["member"] is not None or any(name.startswith(b"x-member") for name, _ in passed["headers"]):
    mistakes.append("ASGI: the anonymous keep what they wrote")
answers = []
MemberWsgi(None, {}, anonymous=True)(environ(usual), lambda status, fields: answers.append(status))
if answers != ["401 Unauthorized"]:
    mistakes.append(f"WSGI: an unknown key is answered {answers}")

# The keys of a site are fetched once, again for an unknown id after a minute, and again after an hour.
keys, now = JwkSet(os.environ["JWK_SET"]), 1_795_300_000
for seconds, keyid, expected in [(0, "2026-11.ed", True), (1, "2026-12.p256", True), (59, "?", False), (60, "?", False),
                                 (61, "2026-11.ed", True), (3659, "2026-11.p256", True), (3660, "2026-11.ed", True)]:
    if (keys.get(keyid, now + seconds) is not None) != expected:
        mistakes.append(f"JwkSet: {keyid} after {seconds} s")
try:
    mistakes.append(f"JwkSet without a server: {JwkSet('http://127.0.0.1:1/').get('?', now)}")
except Refused as refused:
    assert str(refused) == "keys-unavailable"

print("\n".join(mistakes) or f"{len(FILE['vectors'])} vectors")
sys.exit(bool(mistakes))
