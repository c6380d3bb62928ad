"""Put the layers around an application, in their one order."""

from latentry_api.security.asgi import App
from latentry_api.security.audit import Audit
from latentry_api.security.bodies import Bodies
from latentry_api.security.credentials import Credentials
from latentry_api.security.door import Door, announced_size, known_body, known_host, known_origin, one_meaning
from latentry_api.security.headers import Headers
from latentry_api.security.limiting import Limits, Rates
from latentry_api.security.messages import Messages
from latentry_api.security.options import SecurityOptions

SENT = ("authorization", "content-type", "idempotency-key", "if-none-match", "last-event-id")
SHOWN = ("location", "etag", "retry-after", "www-authenticate")


def secured(app: App, options: SecurityOptions) -> App:
    """The application behind all rules; it finds the `Caller` in `scope["latentry.caller"]`.

    Seen from the client: the audit log, headers, rules about headers alone, the token, the limits of its
    caller, and last the body, of which nothing is read for a request that has been refused.
    """
    rates = Rates(options)
    watched = Bodies(Messages(app, options), options)
    limited = Credentials(Limits(watched, options, rates), options, rates)
    rules = (known_origin(options), known_body, announced_size(options))
    listed = _for_pages(Door(limited, rules), options)
    return Audit(Headers(Door(listed, (one_meaning, known_host(options)))), options)


def _for_pages(app: App, options: SecurityOptions) -> App:
    """CORS for the listed origins; without any, no page of another site reads an answer."""
    if not options.allowed_origins:
        return app
    from starlette.middleware.cors import CORSMiddleware

    return CORSMiddleware(
        app,
        allow_origins=options.allowed_origins,
        allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
        allow_headers=SENT,
        expose_headers=SHOWN,
    )
