"""A host for diffusion image generation in which everything is a plugin."""

from latentry.config import Config
from latentry.errors import LatentryError, UserError
from latentry.host import Host
from latentry.request import Artifact, Request, Result

__all__ = ["Artifact", "Config", "Host", "LatentryError", "Request", "Result", "UserError"]
