"""The gallery's server: on this machine alone, behind a secret in its address.

Every address starts with a random token, and every request must name this host: pages of other sites can neither guess
the former nor, by a name of their own that leads here, fake the latter. The page itself loads nothing from elsewhere.
"""

import json
import secrets
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib import resources
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unicorn_codec.errors import IndexOutOfRange, OutputError, UnicornError
from unicorn_codec.viewing.gallery import Gallery
from unicorn_codec.viewing.pages import FILES, gallery_page

HOST = "127.0.0.1"
MOST_THUMBNAILS = 500
"""Thumbnails that one request may ask for."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' blob:; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FRAME = struct.Struct("<IBI")
"""Before each thumbnail of a stream: index, 1 if it is final, length."""


class Guard:
    """Refuses requests for another host or without the token, and adds ``HEADERS`` to every answer."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str], token: str) -> None:
        self.app, self.hosts, self.token = app, hosts, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        given = scope["path"].split("/")[1]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        answer = self.app
        if len(hosts) != 1 or hosts[0] not in self.hosts:
            answer = PlainTextResponse("this host is not served", status_code=421)
        elif not secrets.compare_digest(given.encode(), self.token.encode()):
            answer = PlainTextResponse("open the address that unicorn view printed", status_code=403)
        await answer(scope, receive, send_with_headers)


def application(gallery: Gallery, hosts: Sequence[str], token: str) -> ASGIApp:
    """Return the server's application.

    Args:
        hosts: values of the Host header that are answered.
        token: first part of every path.
    """

    async def page(_: Request) -> Response:
        return Response(gallery_page(gallery.title), media_type="text/html")

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in FILES:
            return PlainTextResponse("not found", status_code=404)
        data = (resources.files("unicorn_codec.viewing") / "static" / name).read_bytes()
        return Response(data, media_type=TYPES[name[name.rindex(".") :]])

    async def listing(_: Request) -> Response:
        return await answer(lambda: as_json(gallery.listing))

    async def dates(_: Request) -> Response:
        return await answer(lambda: as_json(gallery.dates))

    async def facts(request: Request) -> Response:
        return await answer(lambda: as_json(gallery.facts(request.path_params["index"])))

    async def picture(request: Request) -> Response:
        return await answer(lambda: Response(gallery.picture(request.path_params["index"]), media_type="image/png"))

    async def download(request: Request) -> Response:
        return await answer(lambda: attachment(gallery, request.path_params["index"]))

    async def thumbnails(request: Request) -> Response:
        indices = [
            int(part) for part in request.query_params.get("of", "").split(",") if part.isascii() and part.isdigit()
        ]
        return StreamingResponse(framed(gallery, indices[:MOST_THUMBNAILS]), media_type="application/octet-stream")

    routes = [
        Route("/", page),
        Route("/pictures", listing),
        Route("/dates", dates),
        Route("/thumbnails", thumbnails),
        Route("/facts/{index:int}", facts),
        Route("/picture/{index:int}", picture),
        Route("/download/{index:int}", download),
        Route("/{name}", file),
    ]
    app = Starlette(routes=[Route(f"/{token}{route.path}", route.endpoint) for route in routes])
    return Guard(app, hosts, token)


async def answer(work: Callable[[], Response]) -> Response:
    """Do some work in a thread, and answer its errors by their message."""
    try:
        return await run_in_threadpool(work)
    except IndexOutOfRange as error:
        return PlainTextResponse(str(error), status_code=404)
    except UnicornError as error:
        return PlainTextResponse(str(error), status_code=422)


def as_json(value: Any) -> Response:
    """Return a JSON answer; values that are not finite have been replaced before."""
    return Response(json.dumps(value, allow_nan=False).encode(), media_type="application/json")


def attachment(gallery: Gallery, index: int) -> Response:
    """Return a picture's file as a download, whatever its name holds."""
    found = gallery.download(index)
    name = quote(found.name, safe="")
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
    return Response(found.data, media_type="application/octet-stream", headers=headers)


def framed(gallery: Gallery, indices: Sequence[int]) -> Iterator[bytes]:
    """Yield thumbnails as they become ready, each after its ``FRAME``."""
    for thumbnail in gallery.thumbnails(indices):
        yield FRAME.pack(thumbnail.index, thumbnail.is_final, len(thumbnail.data)) + thumbnail.data


def serve(gallery: Gallery, *, port: int, ready: Callable[[str], None]) -> None:
    """Serve a gallery until the process is interrupted.

    Args:
        port: 0 for any free one.
        ready: called with the address once it answers.

    Raises:
        OutputError: the port is taken.
    """
    import uvicorn

    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
        except OSError as error:
            raise OutputError(
                f"cannot listen on port {port}: {error.strerror or error}; choose another --port"
            ) from error
        listening.listen()
        number, token = listening.getsockname()[1], secrets.token_urlsafe(16)
        app = application(gallery, [f"{HOST}:{number}", f"localhost:{number}"], token)
        config = uvicorn.Config(
            app, log_level="critical", access_log=False, timeout_graceful_shutdown=1, lifespan="off"
        )
        gallery.prepare()
        ready(f"http://{HOST}:{number}/{token}/")
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
