"""A leaky bucket: how much may come at once, and how fast after that."""

from collections.abc import Callable


class Bucket:
    """Fills with what comes and empties at `rate` a second; `size` is what it holds."""

    def __init__(self, rate: float, size: float, clock: Callable[[], float]) -> None:
        self._rate, self._size, self._clock = rate, size, clock
        self._level, self._at = 0.0, clock()

    def take(self, amount: float = 1) -> bool:
        """Whether so much more has room."""
        now = self._clock()
        self._level = max(0.0, self._level - (now - self._at) * self._rate) + amount
        self._at = now
        return self._level <= self._size
