"""The same as gone.mjs, by ASGI alone."""

import os
import socket

words = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
to = ("127.0.0.1", int(os.environ["BENCH_TELL"]))


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("HTTP alone")
    _, kind, *rest = scope["path"].split("/")
    start = {"type": "http.response.start", "status": 200}
    if kind == "":
        await send({**start, "headers": []})
        await send({"type": "http.response.body", "body": b"Hello, world!\n"})
        return
    if kind == "events":
        await send({**start, "headers": [(b"content-type", b"text/event-stream")]})
        welcome = b": welcome\n\n"
        await send({"type": "http.response.body", "body": welcome, "more_body": True})
    words.sendto(b"+" + rest[0].encode(), to)
    while (await receive())["type"] != "http.disconnect":
        pass
    words.sendto(b"-" + rest[0].encode(), to)
