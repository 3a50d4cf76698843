"""Errs at an HTTP/2 server in every way that RFC 9113 names, and says how the server took it.

    http2_errors.py HOST:PORT [AUTHORITY [PATH]]

The server speaks HTTP/2 with prior knowledge (RFC 9113 §3.3). Each case has a connection of its own; the PyPI package h2
makes the preface, the settings and the field blocks, with its checks off, and whatever it would still refuse to send is
written as frames by hand. One line of JSON for a case:

    {"case": "…", "section": "5.1", "allowed": ["goaway:PROTOCOL_ERROR", …], "outcome": "goaway:PROTOCOL_ERROR"}

An outcome is `goaway:CODE` or `reset:CODE` with the name of the error code (RFC 9113 §7), `status:NNN`, `closed` without
a word, or `silent`. `allowed` are those that the section leaves a server; where it asks for an error of the stream, one of
the connection is allowed too (§5.4.2).
"""

import json
import socket
import struct
import sys

import h2.config
import h2.connection
import h2.errors
import hpack
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PATIENCE = 5.0
PROTOCOL, FLOW, SIZE, COMPRESSION, CLOSED_STREAM, REFUSED = (
    "PROTOCOL_ERROR",
    "FLOW_CONTROL_ERROR",
    "FRAME_SIZE_ERROR",
    "COMPRESSION_ERROR",
    "STREAM_CLOSED",
    "REFUSED_STREAM",
)


def connection_error(*codes):
    """An endpoint may close without GOAWAY, which it only should send (RFC 9113 §5.4.1)."""
    return [f"goaway:{code}" for code in codes or (PROTOCOL,)] + ["closed"]


def stream_error(*codes):
    return [f"reset:{code}" for code in codes or (PROTOCOL,)] + connection_error(*codes)


def malformed():
    """A server may answer a malformed request before it resets the stream (RFC 9113 §8.1.1)."""
    return stream_error() + ["status:400", "status:431"]


class Talk:
    """One connection to the server."""

    def __init__(self, address, authority, path):
        self.socket = socket.create_connection(address, timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.authority = authority
        self.path = path
        config = h2.config.H2Configuration(
            client_side=True,
            header_encoding="utf-8",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            split_outbound_cookies=False,
            validate_inbound_headers=False,
        )
        self.h2 = h2.connection.H2Connection(config=config)

    def begin(self):
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        self.raw(self.h2.data_to_send())

    def raw(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # What the server made of it shows when it is read from.

    def frame(self, frame):
        self.raw(frame.serialize())

    def fields(self, *more, method="GET", without=()):
        pseudo = [(":method", method), (":scheme", "http"), (":authority", self.authority), (":path", self.path)]
        return [field for field in pseudo if field[0] not in without] + list(more)

    def block(self, *more, **changes):
        """A field block of the connection's own encoder."""
        return self.h2.encoder.encode(self.fields(*more, **changes))

    def request(self, stream, *more, end=True, **changes):
        self.frame(HeadersFrame(stream, self.block(*more, **changes), flags=["END_HEADERS"] + ["END_STREAM"] * end))

    def outcome(self, stream=1):
        """The first thing the server says of this stream, or of the connection, that is an end."""
        decoder = hpack.Decoder()
        unread = b""
        while True:
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                return "silent"
            except OSError:
                return "closed"
            unread += data
            if not data or unread.startswith(b"HTTP/1"):
                return "closed"
            while len(unread) >= 9:
                frame, length = Frame.parse_frame_header(memoryview(unread[:9]))
                if len(unread) < 9 + length:
                    break
                frame.parse_body(memoryview(unread[9 : 9 + length]))
                unread = unread[9 + length :]
                if isinstance(frame, GoAwayFrame) and frame.error_code != 0:
                    return f"goaway:{name(frame.error_code)}"
                if isinstance(frame, PingFrame) and "ACK" in frame.flags:
                    return "pong"
                if isinstance(frame, RstStreamFrame) and frame.stream_id == stream and frame.error_code != 0:
                    return f"reset:{name(frame.error_code)}"
                if isinstance(frame, HeadersFrame):
                    fields = dict(decoder.decode(frame.data))
                    if frame.stream_id == stream and ":status" in fields:
                        return f"status:{fields[':status']}"


def name(code):
    try:
        return h2.errors.ErrorCodes(code).name
    except ValueError:
        return str(code)


def header(length, kind, flags, stream):
    """A frame header, whatever it says (RFC 9113 §4.1)."""
    return struct.pack(">I", length)[1:] + bytes([kind, flags]) + struct.pack(">I", stream)


CASES = []


def case(section, allowed, stream=1, begin=True):
    def add(function):
        CASES.append((function.__name__.replace("_", " "), section, allowed, stream, begin, function))
        return function

    return add


SERVED = ["status:200"]


@case("3.4", connection_error(), begin=False)
def a_preface_that_is_none(talk):
    talk.raw(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + SettingsFrame(0).serialize())


@case("3.4", connection_error(), begin=False)
def a_preface_without_settings(talk):
    talk.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    talk.request(1)


@case("4.1", ["pong"])
def a_frame_of_an_unknown_type(talk):
    talk.raw(header(8, 0x42, 0, 0) + b"whatever")
    talk.frame(PingFrame(0, b"12345678"))


@case("4.2", connection_error(SIZE))
def a_frame_longer_than_the_server_takes(talk):
    talk.request(1, method="POST", end=False)
    talk.raw(header(1 << 20, 0, 0, 1) + bytes(1 << 20))


@case("4.2", connection_error(SIZE))
def a_frame_shorter_than_its_type_asks(talk):
    talk.raw(header(3, 6, 0, 0) + b"abc")


@case("4.3", connection_error(COMPRESSION))
def a_field_block_that_cannot_be_decoded(talk):
    talk.frame(HeadersFrame(1, b"\x00\xff\xff\xff\xff\xff", flags=["END_HEADERS", "END_STREAM"]))


@case("4.3", connection_error(COMPRESSION))
def an_index_beyond_the_table(talk):
    talk.frame(HeadersFrame(1, b"\xfe", flags=["END_HEADERS", "END_STREAM"]))


@case("4.3", connection_error(COMPRESSION))
def a_table_size_above_the_limit(talk):
    talk.frame(HeadersFrame(1, b"\x3f\xe1\xff\x7f" + talk.block(), flags=["END_HEADERS", "END_STREAM"]))


@case("5.1", connection_error())
def data_on_an_idle_stream(talk):
    talk.frame(DataFrame(1, b"early", flags=["END_STREAM"]))


@case("5.1", connection_error())
def a_reset_of_an_idle_stream(talk):
    talk.frame(RstStreamFrame(1, error_code=8))


@case("5.1", connection_error())
def a_window_update_of_an_idle_stream(talk):
    talk.frame(WindowUpdateFrame(1, window_increment=100))


@case("5.1", connection_error())
def a_continuation_of_an_idle_stream(talk):
    talk.frame(ContinuationFrame(1, talk.block(), flags=["END_HEADERS"]))


@case("5.1", stream_error(CLOSED_STREAM) + SERVED)
def data_after_the_end_of_a_stream(talk):
    talk.request(1)
    talk.frame(DataFrame(1, b"late", flags=["END_STREAM"]))


@case("5.1", stream_error(CLOSED_STREAM) + SERVED)
def fields_after_the_end_of_a_stream(talk):
    talk.request(1)
    talk.request(1)


@case("5.1", stream_error(CLOSED_STREAM))
def data_after_a_reset(talk):
    talk.request(1, method="POST", end=False)
    talk.frame(RstStreamFrame(1, error_code=8))
    talk.frame(DataFrame(1, b"late", flags=["END_STREAM"]))
    talk.request(3)
    return 3, stream_error(CLOSED_STREAM) + SERVED


@case("5.1.1", connection_error())
def a_stream_with_an_even_identifier(talk):
    talk.request(2)


@case("5.1.1", connection_error(CLOSED_STREAM))
def an_identifier_smaller_than_one_before(talk):
    talk.request(5, end=False, method="POST")
    talk.request(3)
    return 3, stream_error(CLOSED_STREAM)


@case("5.1.2", stream_error(REFUSED) + SERVED + ["goaway:ENHANCE_YOUR_CALM"])
def more_streams_than_the_server_takes(talk):
    for stream in range(1, 2001, 2):
        talk.request(stream, method="POST", end=False)
    return 1999, stream_error(REFUSED) + ["goaway:ENHANCE_YOUR_CALM"]


@case("5.5", connection_error())
def an_unknown_frame_within_a_field_block(talk):
    block = talk.block()
    talk.frame(HeadersFrame(1, block[:4], flags=["END_STREAM"]))
    talk.raw(header(8, 0x42, 0, 1) + b"whatever")
    talk.frame(ContinuationFrame(1, block[4:], flags=["END_HEADERS"]))


@case("6.1", connection_error())
def data_on_stream_0(talk):
    talk.raw(header(1, 0, 1, 0) + b"x")


@case("6.1", connection_error())
def data_with_more_padding_than_frame(talk):
    talk.request(1, method="POST", end=False)
    talk.raw(header(2, 0, 0x9, 1) + b"\xffx")


@case("6.2", connection_error())
def fields_on_stream_0(talk):
    block = talk.block()
    talk.raw(header(len(block), 1, 0x5, 0) + block)


@case("6.2", connection_error())
def fields_with_more_padding_than_frame(talk):
    talk.raw(header(2, 1, 0xD, 1) + b"\xffx")


@case("6.2", connection_error())
def another_frame_within_a_field_block(talk):
    block = talk.block()
    talk.frame(HeadersFrame(1, block[:4], flags=["END_STREAM"]))
    talk.frame(PingFrame(0, b"12345678"))


@case("6.3", connection_error())
def a_priority_on_stream_0(talk):
    talk.raw(header(5, 2, 0, 0) + bytes(5))


@case("6.3", stream_error(SIZE))
def a_priority_of_a_wrong_length(talk):
    talk.request(1, method="POST", end=False)
    talk.raw(header(4, 2, 0, 1) + bytes(4))


@case("5.3.1", stream_error() + SERVED)
def a_stream_that_depends_on_itself(talk):
    talk.frame(PriorityFrame(1, depends_on=1, stream_weight=1, exclusive=False))
    talk.request(1)


@case("6.4", connection_error())
def a_reset_of_stream_0(talk):
    talk.raw(header(4, 3, 0, 0) + bytes(4))


@case("6.4", connection_error(SIZE))
def a_reset_of_a_wrong_length(talk):
    talk.request(1, method="POST", end=False)
    talk.raw(header(3, 3, 0, 1) + bytes(3))


@case("6.5", connection_error(SIZE))
def an_acknowledgement_of_settings_with_content(talk):
    talk.raw(header(6, 4, 1, 0) + bytes(6))


@case("6.5", connection_error())
def settings_on_a_stream(talk):
    talk.raw(header(0, 4, 0, 1))


@case("6.5", connection_error(SIZE))
def settings_of_a_wrong_length(talk):
    talk.raw(header(5, 4, 0, 0) + bytes(5))


@case("6.5.2", connection_error())
def a_setting_to_push_that_is_neither_yes_nor_no(talk):
    talk.frame(SettingsFrame(0, settings={SettingsFrame.ENABLE_PUSH: 2}))


@case("6.5.2", connection_error(FLOW))
def an_initial_window_that_is_too_large(talk):
    talk.frame(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1 << 31}))


@case("6.5.2", connection_error())
def a_frame_size_that_is_too_small(talk):
    talk.frame(SettingsFrame(0, settings={SettingsFrame.MAX_FRAME_SIZE: 16383}))


@case("6.5.2", connection_error())
def a_frame_size_that_is_too_large(talk):
    talk.frame(SettingsFrame(0, settings={SettingsFrame.MAX_FRAME_SIZE: 1 << 24}))


@case("6.5.2", ["pong"])
def an_unknown_setting(talk):
    talk.frame(SettingsFrame(0, settings={0xAAAA: 1}))
    talk.frame(PingFrame(0, b"12345678"))


@case("6.6", connection_error())
def a_push_promise_of_a_client(talk):
    talk.request(1, method="POST", end=False)
    talk.frame(PushPromiseFrame(1, promised_stream_id=2, data=talk.block(), flags=["END_HEADERS"]))


@case("6.7", connection_error())
def a_ping_on_a_stream(talk):
    talk.raw(header(8, 6, 0, 1) + bytes(8))


@case("6.7", ["pong"])
def a_ping(talk):
    talk.frame(PingFrame(0, b"12345678", flags=["ACK"]))
    talk.frame(PingFrame(0, b"12345678"))


@case("6.8", connection_error())
def a_goaway_on_a_stream(talk):
    talk.raw(header(8, 7, 0, 1) + bytes(8))


@case("6.8", ["closed", "silent"])
def a_goaway(talk):
    talk.frame(GoAwayFrame(0, last_stream_id=0, error_code=0))


@case("6.9", connection_error())
def a_window_update_of_nothing(talk):
    talk.raw(header(4, 8, 0, 0) + bytes(4))


@case("6.9", stream_error())
def a_window_update_of_nothing_on_a_stream(talk):
    talk.request(1, method="POST", end=False)
    talk.raw(header(4, 8, 0, 1) + bytes(4))


@case("6.9", connection_error(SIZE))
def a_window_update_of_a_wrong_length(talk):
    talk.raw(header(3, 8, 0, 0) + bytes(3))


@case("6.9.1", connection_error(FLOW))
def a_connection_window_that_overflows(talk):
    for _ in range(2):
        talk.frame(WindowUpdateFrame(0, window_increment=(1 << 31) - 1))


@case("6.9.1", stream_error(FLOW))
def a_stream_window_that_overflows(talk):
    talk.request(1, method="POST", end=False)
    for _ in range(2):
        talk.frame(WindowUpdateFrame(1, window_increment=(1 << 31) - 1))


@case("6.9.1", connection_error(FLOW) + stream_error(FLOW))
def more_data_than_the_window(talk):
    talk.request(1, method="POST", end=False)
    for _ in range(1024):
        talk.frame(DataFrame(1, bytes(16384)))


@case("6.10", connection_error())
def a_continuation_on_stream_0(talk):
    talk.raw(header(1, 9, 4, 0) + b"\x82")


@case("6.10", connection_error())
def a_continuation_of_another_stream(talk):
    block = talk.block()
    talk.frame(HeadersFrame(1, block[:4], flags=["END_STREAM"]))
    talk.frame(ContinuationFrame(3, block[4:], flags=["END_HEADERS"]))


@case("6.10", connection_error())
def a_continuation_after_the_end_of_fields(talk):
    talk.request(1, method="POST", end=False)
    talk.frame(ContinuationFrame(1, talk.block(), flags=["END_HEADERS"]))


@case("8.1", malformed())
def trailers_that_do_not_end_the_stream(talk):
    talk.request(1, method="POST", end=False)
    talk.frame(DataFrame(1, b"body"))
    talk.frame(HeadersFrame(1, talk.h2.encoder.encode([("x-a", "b")]), flags=["END_HEADERS"]))


@case("8.1.1", malformed())
def a_body_longer_than_its_content_length(talk):
    talk.request(1, ("content-length", "1"), method="POST", end=False)
    talk.frame(DataFrame(1, b"body", flags=["END_STREAM"]))


@case("8.1.1", malformed())
def a_body_shorter_than_its_content_length(talk):
    talk.request(1, ("content-length", "10"), method="POST", end=False)
    talk.frame(DataFrame(1, b"body", flags=["END_STREAM"]))


@case("8.1.1", malformed())
def two_content_lengths(talk):
    talk.request(1, ("content-length", "4"), ("content-length", "5"), method="POST", end=False)
    talk.frame(DataFrame(1, b"body", flags=["END_STREAM"]))


def fields_case(title, section, *more, allowed=None, **changes):
    def send(talk):
        talk.request(1, *more, **changes)

    CASES.append((title, section, allowed or malformed(), 1, True, send))


fields_case("a field name in capitals", "8.2", ("X-Odd", "1"))
fields_case("a field name with a blank", "8.2", ("x odd", "1"))
fields_case("an empty field name", "8.2", ("", "1"))
fields_case("a field value with a line feed", "8.2", ("x-odd", "1\nx-member-id: 2"))
fields_case("a field value with a NUL", "8.2", ("x-odd", "1\0"))
fields_case("a field value that begins with a blank", "8.2", ("x-odd", " 1"))
fields_case("connection", "8.2.2", ("connection", "x-odd"))
fields_case("keep-alive", "8.2.2", ("keep-alive", "5"))
fields_case("proxy-connection", "8.2.2", ("proxy-connection", "close"))
fields_case("transfer-encoding", "8.2.2", ("transfer-encoding", "chunked"))
fields_case("upgrade", "8.2.2", ("upgrade", "websocket"))
fields_case("te with more than trailers", "8.2.2", ("te", "trailers, gzip"))
fields_case("a pseudo-header that is unknown", "8.3", (":odd", "1"))
fields_case("a pseudo-header of answers", "8.3", (":status", "200"))
fields_case("a second :path", "8.3.1", (":path", "/other"))
fields_case("no :method", "8.3.1", without=(":method",))
fields_case("no :scheme", "8.3.1", without=(":scheme",))
fields_case("no :path", "8.3.1", without=(":path",))
fields_case("an empty :path", "8.3.1", (":path", ""), without=(":path",))
fields_case("a :path that is none", "8.3.1", (":path", "public"), without=(":path",))
fields_case("an :authority with a user", "8.3.1", (":authority", "a@b"), without=(":authority",), allowed=malformed() + ["status:421"])
fields_case("a host that is not the :authority", "8.3.1", ("host", "other.test"), allowed=malformed())
fields_case(
    "neither host nor :authority",
    "8.3.1",
    without=(":authority",),
    allowed=malformed() + ["status:421"],
)


@case("8.3", malformed())
def a_pseudo_header_after_a_field(talk):
    fields = [(":method", "GET"), (":scheme", "http"), ("x-a", "b"), (":authority", talk.authority), (":path", talk.path)]
    talk.frame(HeadersFrame(1, talk.h2.encoder.encode(fields), flags=["END_HEADERS", "END_STREAM"]))


@case("8.1", malformed())
def a_pseudo_header_among_trailers(talk):
    talk.request(1, method="POST", end=False)
    talk.frame(DataFrame(1, b"body"))
    block = talk.h2.encoder.encode([(":path", "/other")])
    talk.frame(HeadersFrame(1, block, flags=["END_HEADERS", "END_STREAM"]))


@case("8.5", malformed() + ["status:405", "status:501", "status:403"])
def connect_with_a_path(talk):
    talk.request(1, method="CONNECT")


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    authority = sys.argv[2] if len(sys.argv) > 2 else sys.argv[1]
    path = sys.argv[3] if len(sys.argv) > 3 else "/"
    for title, section, allowed, stream, begin, send in CASES:
        talk = Talk((host, int(port)), authority, path)
        if begin:
            talk.begin()
        changed = send(talk)
        if changed:
            stream, allowed = changed
        outcome = talk.outcome(stream)
        talk.socket.close()
        print(json.dumps({"case": title, "section": section, "allowed": allowed, "outcome": outcome}), flush=True)


if __name__ == "__main__":
    main()
