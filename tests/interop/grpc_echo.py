"""A gRPC service and its client, by the PyPI package grpcio, to be put on both sides of the gateway.

    grpc_echo.py serve
    grpc_echo.py call TARGET [--cookie COOKIE] [--ca FILE] [--authority NAME] [--service NAME]

`serve` listens on a free loopback port without TLS, prints it, and serves until its standard input ends. `call` makes one
call of each kind, checks every answer, prints a line for each, and exits 1 at the first that is not as it should be. The
messages are bytes as they are: gRPC needs no schema to carry them.
"""

import argparse
import sys
import threading
from concurrent import futures

import grpc

SERVICE = "test.Echo"
OPEN = "test.Open"  # The same under a name for everybody.
LARGE = bytes(range(256)) * 4096 * 3  # 3 MiB: more than any window


def same(message):
    return message


def unary(request, context):
    sent = dict(context.invocation_metadata())
    context.set_trailing_metadata((("x-checksum", str(len(request))), ("x-member-id", "forged")))
    if request == b"fail":
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "told to fail")
    if request == b"who":
        return sent.get("x-member-id", "nobody").encode()
    return request


def server_stream(request, _context):
    for number in range(int(request)):
        yield str(number).encode()


def client_stream(requests, _context):
    return str(sum(len(request) for request in requests)).encode()


def both_streams(requests, _context):
    for request in requests:
        yield request[::-1]


def serve():
    methods = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary, same, same),
        "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream, same, same),
        "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream, same, same),
        "BothStreams": grpc.stream_stream_rpc_method_handler(both_streams, same, same),
    }
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=LIMITS)
    server.add_generic_rpc_handlers(
        tuple(grpc.method_handlers_generic_handler(name, methods) for name in (SERVICE, OPEN))
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(None)


LIMITS = [("grpc.max_receive_message_length", 16 << 20), ("grpc.max_send_message_length", 16 << 20)]


def expect(what, actual, expected):
    if actual != expected:
        print(f"{what}: {actual!r} instead of {expected!r}", file=sys.stderr)
        raise SystemExit(1)
    print(what, flush=True)


def conversation(method, sent):
    """Each message goes only when the answer to the one before is there."""
    answered = threading.Semaphore(0)

    def messages():
        for number in range(20):
            yield f"message {number}".encode()
            answered.acquire()

    answers = []
    for answer in method(messages(), metadata=sent, timeout=60):
        answers.append(answer)
        answered.release()
    return answers


def call(arguments):
    options = list(LIMITS)
    if arguments.ca:
        credentials = grpc.ssl_channel_credentials(open(arguments.ca, "rb").read())
        options.append(("grpc.ssl_target_name_override", arguments.authority))
        channel = grpc.secure_channel(arguments.target, credentials, options)
    else:
        options.append(("grpc.default_authority", arguments.authority))
        channel = grpc.insecure_channel(arguments.target, options)
    sent = (("cookie", arguments.cookie),) if arguments.cookie else ()
    method = lambda kind, name: getattr(channel, kind)(f"/{arguments.service}/{name}", same, same)  # noqa: E731

    echo = method("unary_unary", "Unary")
    answer, finished = echo.with_call(b"hello", metadata=sent, timeout=60)
    expect("a unary call", answer, b"hello")
    trailers = dict(finished.trailing_metadata())
    expect("a trailer that may pass", trailers.get("x-checksum"), "5")
    expect("a trailer under the name of an identity field", trailers.get("x-member-id"), None)
    expect("an empty message", echo(b"", metadata=sent, timeout=60), b"")
    expect("a message larger than any window", echo(LARGE, metadata=sent, timeout=60) == LARGE, True)
    if arguments.cookie:
        expect("who the service is told it is", echo(b"who", metadata=sent, timeout=60), b"400007995-00")
    try:
        echo(b"fail", metadata=sent, timeout=60)
        status = None
    except grpc.RpcError as error:
        status = (error.code(), error.details())
    expect("a call that fails", status, (grpc.StatusCode.FAILED_PRECONDITION, "told to fail"))
    streamed = list(method("unary_stream", "ServerStream")(b"1000", metadata=sent, timeout=60))
    expect("a stream from the server", streamed, [str(number).encode() for number in range(1000)])
    counted = method("stream_unary", "ClientStream")((b"x" * 1000 for _ in range(1000)), metadata=sent, timeout=60)
    expect("a stream from the client", counted, b"1000000")
    turned = conversation(method("stream_stream", "BothStreams"), sent)
    expect("a conversation, message by message", turned, [f"message {n}".encode()[::-1] for n in range(20)])
    endless = method("unary_stream", "ServerStream")(b"100000000", metadata=sent, timeout=60)
    next(endless)
    endless.cancel()
    expect("a stream that the client breaks off", endless.code(), grpc.StatusCode.CANCELLED)
    calls = [echo.future(str(number).encode(), metadata=sent, timeout=60) for number in range(300)]
    answers = [future.result() for future in calls]
    expect("300 calls at a time", answers, [str(number).encode() for number in range(300)])
    channel.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve")
    calling = commands.add_parser("call")
    calling.add_argument("target")
    calling.add_argument("--cookie")
    calling.add_argument("--ca")
    calling.add_argument("--authority", default="members.localhost")
    calling.add_argument("--service", default=SERVICE)
    arguments = parser.parse_args()
    if arguments.command == "serve":
        serve()
    else:
        call(arguments)


if __name__ == "__main__":
    main()
