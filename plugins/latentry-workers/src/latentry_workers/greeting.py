"""How host and worker make sure that they understand each other before the first job."""

import logging
import sys
from collections.abc import Mapping
from importlib.metadata import version
from time import monotonic
from typing import Any

from latentry_sdk import Unavailable
from latentry_workers.channel import Channel, ChannelLost
from latentry_workers.options import WorkersOptions

log = logging.getLogger("latentry.workers")
PROTOCOL = 1
"""Raised with every change that an older worker or host would misunderstand."""

Values = Mapping[str, Any]


def versions() -> Values:
    """What both sides must have alike."""
    return {"protocol": PROTOCOL, "latentry": version("latentry")}


def greet(channel: Channel, name: str, options: WorkersOptions, config: Values) -> None:
    """On the host's side: take the worker's greeting, tell it how to work, and wait until it is ready.

    Raises `Unavailable` for a worker of other versions, `ChannelLost` for one that is not ready in time.
    """
    deadline = monotonic() + options.start
    channel.expect(options.start)
    hello = channel.receive()
    theirs, ours = {field: hello.get(field) for field in versions()}, versions()
    if theirs != ours:
        raise Unavailable(
            f"worker {name!r} speaks {_words(theirs)}, this host {_words(ours)}",
            fix="install the same latentry and latentry-workers for both",
        )
    own = options.processes[name]
    log.info("worker %r begins, on Python %s", name, hello.get("python"))
    channel.send("welcome", config=config, place=dict(own.place), nice=own.nice, warm=options.warm)
    channel.expect(options.silence)
    while channel.receive()["kind"] != "ready":
        if monotonic() > deadline:
            raise ChannelLost(f"took longer than {options.start:g} s")


def answered(channel: Channel) -> Values:
    """On the worker's side: greet the host; what it says."""
    channel.send("hello", **versions(), python=sys.version.split()[0])
    return channel.receive()


def _words(versions: Values) -> str:
    return f"protocol {versions['protocol']} of latentry {versions['latentry']}"
