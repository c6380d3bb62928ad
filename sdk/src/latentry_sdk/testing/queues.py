"""What a durable queue must do."""

from collections.abc import Iterator

import pytest

from latentry_sdk.queue import Queue
from latentry_sdk.testing.queues_ends import Ends
from latentry_sdk.testing.queues_leases import Leases
from latentry_sdk.testing.queues_lines import Lines
from latentry_sdk.testing.queues_once import Once
from latentry_sdk.testing.queues_parts import Opening


class QueueSuite(Lines, Leases, Ends, Once):
    """Subclass this and override the fixture `opening`.

    It opens one and the same queue each time it is called, empty at first, and can be pickled, since other
    processes call it too. The queue takes `limit` waiting jobs and tries each `attempts` times.
    """

    limit = 60
    attempts = 3

    @pytest.fixture
    def opening(self) -> Opening:
        """What opens the queue under test."""
        raise NotImplementedError("override the fixture `opening`")

    @pytest.fixture
    def queue(self, opening: Opening) -> Iterator[Queue]:
        """The queue under test, open."""
        queue = opening()
        yield queue
        queue.close()
