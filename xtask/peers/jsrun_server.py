"""jsrun, V8 in Python, behind aiohttp: one runtime for all requests.

It is called with `eval`: calls of `eval_async` that overlap on one runtime wait for each other for
very long, and `eval` is faster also where they do not.
"""

import json
import socket
from pathlib import Path

import uvloop
from aiohttp import web
from jsrun import Runtime

runtime = Runtime()
runtime.eval(Path(__file__).with_name("logic.js").read_text())


async def answer(request: web.Request) -> web.Response:
    given = json.dumps([request.path, await request.text()])
    text = runtime.eval(f"logic.answer(...{given})")
    return web.Response(text=text, content_type="application/json")


app = web.Application()
app.router.add_route("*", "/{path:.*}", answer)
listener = socket.create_server(("127.0.0.1", 0))
print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
uvloop.install()
web.run_app(app, sock=listener, print=None, access_log=None)
