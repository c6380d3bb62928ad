"""Keep the server safe: who may reach it, what they may send, and how much of it."""

from latentry_api.security.audit import note
from latentry_api.security.budget import check_plan, check_wish
from latentry_api.security.commands import token
from latentry_api.security.fetching import Fetcher
from latentry_api.security.headers import safe_media_type
from latentry_api.security.options import SecurityOptions
from latentry_api.security.serving import check_options, uvicorn_settings
from latentry_api.security.stack import secured

__all__ = [
    "Fetcher",
    "SecurityOptions",
    "check_options",
    "check_plan",
    "check_wish",
    "note",
    "safe_media_type",
    "secured",
    "token",
    "uvicorn_settings",
]
