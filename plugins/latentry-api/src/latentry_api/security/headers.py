"""Tell browsers what they may not do with an answer, and what may be served at all."""

from latentry_api.security.asgi import App, Message, Receive, Scope, Send

HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}
"""Set where the application sets nothing else: a page of its own has another policy."""

PICTURES = ("png", "jpeg", "webp", "gif", "avif", "bmp", "tiff", "x-portable-graymap", "x-portable-pixmap")
SAFE = frozenset({*(f"image/{name}" for name in PICTURES), "video/mp4", "video/webm", "application/json"})


class Headers:
    """Adds the headers to every answer."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, and its answer back with headers."""

        async def with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                message = {
                    **message,
                    "headers": [*given, *(pair for pair in HEADERS.items() if pair[0] not in names)],
                }
            await send(message)

        await self._app(scope, receive, with_headers)


def safe_media_type(media_type: str) -> str:
    """The media type to serve bytes under that a user or a plugin made.

    What a browser would run, HTML and SVG among them, is served as bytes without a meaning.
    """
    plain = media_type.partition(";")[0].strip().lower()
    return plain if plain in SAFE else "application/octet-stream"
