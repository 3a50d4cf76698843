"""A browser as small as can be: it signs in at the sandbox, and writes the request that is measured."""

import http.client
import http.cookies
import ssl
import urllib.parse
from html.parser import HTMLParser

from .machine import Failure

ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
# What other programs of a site keep at a browser.
COOKIES = ("_ga=GA1.1.1234567890.1790000000", "theme=dark", "PHPSESSID=k2j3h4k2j3h4k2j3h4k2j3h4k2")


def fields(host, session=None):
    """The fields of a browser that asks for a page: eleven, with four cookies if there is a session."""
    cookies = [*COOKIES[:2], *([session] if session else []), *COOKIES[2:]]
    return [
        ("Host", host),
        ("Connection", "keep-alive"),
        ("Upgrade-Insecure-Requests", "1"),
        ("User-Agent", AGENT),
        ("Accept", ACCEPT),
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Accept-Encoding", "gzip, deflate, br, zstd"),
        ("Accept-Language", "en-US,en;q=0.9,es;q=0.8"),
        ("Cookie", "; ".join(cookies)),
    ]


def request(target, host, session=None):
    """The same as it goes over the wire."""
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields(host, session))]
    return "\r\n".join([*lines, "", ""])


class Browser:
    """Follows redirects and sends forms as they come, with one jar of cookies for each host and port."""

    def __init__(self):
        self.jars = {}

    def sign_in(self, url):
        """From a page to the same page, whatever forms lie on the way. The cookie of the session as it is sent."""
        method, body, here = "GET", None, url
        for _ in range(12):
            status, location, page = self._ask(method, here, body)
            method, body = "GET", None
            if location:
                here = urllib.parse.urljoin(here, location)
                continue
            if status == 200 and same_place(here, url):
                return self.session(url)
            form = Form.of(page)
            if form is None:
                raise Failure(f"signing in ended at {here} with {status}:\n{page[:500]}")
            here = urllib.parse.urljoin(here, form.action)
            if form.method == "post":
                method, body = "POST", urllib.parse.urlencode(form.values)
            else:
                here += "?" + urllib.parse.urlencode(form.values)
        raise Failure(f"signing in at {url} does not come to an end")

    def session(self, url):
        jar = self.jars.get(urllib.parse.urlsplit(url).netloc, {})
        return max((f"{name}={value}" for name, value in jar.items()), key=len)

    def _ask(self, method, url, body):
        parts = urllib.parse.urlsplit(url)
        jar = self.jars.setdefault(parts.netloc, {})
        if parts.scheme == "https":
            # A certificate of our own making, on this machine.
            link = http.client.HTTPSConnection("127.0.0.1", parts.port, context=ssl._create_unverified_context())
        else:
            link = http.client.HTTPConnection("127.0.0.1", parts.port)
        sent = {"Host": parts.netloc, "Accept": ACCEPT, "User-Agent": AGENT, "Sec-Fetch-Mode": "navigate"}
        if jar:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        link.request(method, target, body, sent)
        answer = link.getresponse()
        page = answer.read().decode(errors="replace")
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                for key, morsel in http.cookies.SimpleCookie(value).items():
                    if morsel["max-age"] == "0" or not morsel.value:
                        jar.pop(key, None)
                    else:
                        jar[key] = morsel.value
        link.close()
        return answer.status, answer.getheader("Location"), page


def same_place(one, other):
    one, other = urllib.parse.urlsplit(one), urllib.parse.urlsplit(other)
    return (one.netloc, one.path) == (other.netloc, other.path)


class Form(HTMLParser):
    """The first form of a page, with what it is filled in with."""

    def __init__(self):
        super().__init__()
        self.action = None
        self.method = "get"
        self.values = []
        self.open = False

    @classmethod
    def of(cls, page):
        form = cls()
        form.feed(page)
        return form if form.action is not None else None

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form" and self.action is None:
            self.action = attributes.get("action") or ""
            self.method = attributes.get("method", "get").lower()
            self.open = True
        elif tag == "input" and self.open and attributes.get("name"):
            if attributes.get("type") not in ("checkbox", "radio") or "checked" in attributes:
                self.values.append((attributes["name"], attributes.get("value") or ""))

    def handle_endtag(self, tag):
        if tag == "form":
            self.open = False
