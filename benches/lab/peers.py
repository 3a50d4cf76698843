"""The servers that are compared, each as its own documents would have it do this work: one worker, no log of requests.

The gateway alone writes its access log, since that is how it comes.
"""

import base64
import os
import subprocess
from dataclasses import dataclass, field

from . import browser
from .machine import LOADING, Child, Failure, free_port

SMALL, LARGE = 1024, 1024 * 1024
# What the others answer themselves where the gateway is asked for its health, which is as long.
ITSELF = "ok."


@dataclass
class Server:
    """A server that runs, and the request that is measured."""

    name: str
    child: Child
    port: int
    request: str
    tls: dict | None = None

    @property
    def processes(self):
        return self.child.family()

    def target(self, connections=32, length=SMALL, name=None, tls=None):
        """The same in the words of the load generator."""
        target = {
            "name": name or self.name,
            "address": f"127.0.0.1:{self.port}",
            "processes": self.processes,
            "connections": connections,
            "request": self.request,
            "length": length,
        }
        if tls:
            target["tls"] = {**self.tls, "exchange": tls}
        return target


def certificate(lab):
    """A P-256 certificate for localhost, its own root."""
    folder = lab.subfolder("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc",
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True)
    # HAProxy wants both in one file.
    (folder / "both.pem").write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    for file in folder.iterdir():
        file.chmod(0o644)
    return folder


def upstream(lab):
    """nginx with 1 KiB and 1 MiB, both from memory."""
    folder, port = lab.subfolder("upstream"), free_port()
    (folder / "large").write_bytes(b"x" * LARGE)
    (folder / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; pid nginx.pid; error_log stderr;
events {{ worker_connections 20000; }}
http {{
  access_log off; sendfile on; tcp_nopush on; open_file_cache max=10; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    default_type text/html;
    location / {{ return 200 "{'x' * SMALL}"; }}
    location = /large {{ root {folder}; }}
    location = /verify {{ return 204; }}
  }}
}}
""")
    child = lab.start("upstream", ["nginx", "-e", "stderr", "-p", folder, "-c", "nginx.conf"], core=LOADING)
    child.wait_for(port)
    return port


def nginx(lab, app, target, tls=None, session=None, checks=""):
    """nginx, bare proxy_pass over kept connections."""
    folder, port = lab.subfolder("nginx"), free_port()
    secured = f"ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {tls}/cert.pem; ssl_certificate_key {tls}/key.pem; ssl_session_cache off; ssl_session_tickets off;" if tls else ""
    listen = f"127.0.0.1:{port} backlog=4096" + (" ssl http2" if tls else "")
    (folder / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; pid nginx.pid; error_log stderr;
events {{ worker_connections 24000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  upstream app {{ server 127.0.0.1:{app}; keepalive 128; keepalive_requests 1000000000; keepalive_timeout 600s; }}
  server {{
    listen {listen};
    {secured}
    location = /itself {{ return 200 "{ITSELF}"; }}
    location = /verify {{
      internal; proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_pass_request_body off; proxy_set_header Content-Length "";
    }}
    location / {{ {checks} proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; }}
  }}
}}
""")
    child = lab.start(f"nginx-{port}", ["nginx", "-e", "stderr", "-p", folder, "-c", "nginx.conf"])
    child.wait_for(port)
    return Server("nginx", child, port, browser.request(target, f"localhost:{port}", session), secure(tls))


def haproxy(lab, app, target, tls=None, session=None, checks=""):
    """HAProxy, bare."""
    folder, port = lab.subfolder("haproxy"), free_port()
    secured = f" ssl crt {tls}/both.pem alpn h2,http/1.1 no-tls-tickets" if tls else ""
    (folder / "haproxy.cfg").write_text(f"""
global
  nbthread 1
  no strict-limits
  maxconn 24000
  tune.ssl.cachesize 0
defaults
  mode http
  timeout client 600s
  timeout server 600s
  timeout connect 5s
  timeout http-keep-alive 600s
  http-reuse always
frontend front
  bind 127.0.0.1:{port} backlog 4096{secured}
  http-request return status 200 content-type text/html string {ITSELF} if {{ path /itself }}
{checks}
  default_backend app
backend app
  server app 127.0.0.1:{app} pool-max-conn 256
""")
    child = lab.start(f"haproxy-{port}", ["haproxy", "-db", "-f", folder / "haproxy.cfg"])
    child.wait_for(port)
    return Server("HAProxy", child, port, browser.request(target, f"localhost:{port}", session), secure(tls))


def secure(tls):
    return {"host": "localhost", "certificate": str(tls / "cert.pem")} if tls else None


def secret():
    return base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")


@dataclass
class Gateway:
    """How the gateway is configured for one comparison."""

    binary: object
    algorithm: str = "hmac-sha256"
    sites: int = 1
    rules: int = 1
    store: str = ""
    key: str = field(default_factory=secret)

    def observed(self):
        """Metrics and access log are on, as they should be for everybody; older programs have neither."""
        schema = subprocess.run([self.binary, "schema"], check=True, capture_output=True, text=True).stdout
        if "admin_listen" not in schema:
            return "", ""
        return f'admin_listen = "127.0.0.1:{free_port()}"', '[log]\naccess = "file:access.log"'

    def text(self, port, app, tls):
        admin, log = self.observed()
        scheme = "https" if tls else "http"
        certificates = f'tls = {{ certificates = [{{ cert = "{tls}/cert.pem", key = "{tls}/key.pem" }}] }}' if tls else ""
        hosts = ["localhost", *(f"s{number}.localhost" for number in range(1, self.sites))]
        lines = [
            f'[server]\nlisten = ["127.0.0.1:{port}"]\n{admin}\n{certificates}',
            log,
            f'[session]\nkeys = ["{self.key}"]' + (f'\nstore = "{self.store}"' if self.store else ""),
            f'[identity.signature]\nkeys = [{{ id = "2026-11", algorithm = "{self.algorithm}", key = "{secret()}" }}]',
            '[[provider]]\nname = "ymca"\nkind = "daxko"\nenvironment = "sandbox"',
        ]
        for host in hosts:
            lines.append(
                f'[[site]]\npublic_url = "{scheme}://{host}:{port}"\nupstream = ["http://127.0.0.1:{app}"]\nproviders = ["ymca"]')
            for number in range(1, self.rules):
                lines.append(f'[[site.rule]]\npath = "/part-{number}/*/pages/**"\naccess = "public"')
            lines.append('[[site.rule]]\npath = "/assets/**"\naccess = "public"')
        return "\n\n".join(lines) + "\n"

    def start(self, lab, app, target, tls=None, name="gateway", host="localhost"):
        """Starts it, and signs in; the request carries a session that is as good as any member's."""
        folder, port = lab.subfolder("gateway"), free_port()
        (folder / "gateway.toml").write_text(self.text(port, app, tls))
        child = lab.start(
            f"{name}-{port}", [self.binary, "run", "--config", folder / "gateway.toml"], env={"RUST_LOG": "info"})
        child.wait_for(port)
        scheme = "https" if tls else "http"
        session = browser.Browser().sign_in(f"{scheme}://{host}:{port}/classes")
        request = browser.request(target, f"{host}:{port}", session)
        if not 700 <= len(browser.request("/classes?week=2", f"{host}:{port}", session)) <= 1000:
            raise Failure(f"the request is of {len(request)} bytes, and should be of some 800")
        return Server(name, child, port, request, secure(tls)), session
