"""An OpenID provider as small as can be, for mod_auth_openidc to log in at: one member, who is asked nothing.

Started by itself: `openid.py PORT SECRET FOLDER`, the last with cert.pem and key.pem, for mod_auth_openidc takes https only. Its ID tokens are signed with HS256 and the secret of the one client it has.
"""

import base64
import hashlib
import hmac
import http.server
import json
import ssl
import sys
import time
import urllib.parse

CLIENT, MEMBER = "gateway-bench", "400007995-00"


def encoded(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def token(issuer, secret, nonce):
    """An ID token (OpenID Connect Core 1.0, section 2) with what it has to hold and no more."""
    now = int(time.time())
    claims = {"iss": issuer, "sub": MEMBER, "aud": CLIENT, "iat": now, "exp": now + 3600, "nonce": nonce}
    signed = encoded({"alg": "HS256", "typ": "JWT"}) + "." + encoded(claims)
    return signed + "." + encoded(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())


class Provider(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        back = urllib.parse.urlencode({"code": query["nonce"], "state": query["state"]})
        self.send_response(302)
        self.send_header("Location", f"{query['redirect_uri']}?{back}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        issuer = f"https://localhost:{self.server.server_port}"
        answer = {"access_token": "none", "token_type": "Bearer", "expires_in": 3600,
                  "id_token": token(issuer, self.server.secret, form["code"])}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Provider)
    server.secret = sys.argv[2]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{sys.argv[3]}/cert.pem", f"{sys.argv[3]}/key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()
