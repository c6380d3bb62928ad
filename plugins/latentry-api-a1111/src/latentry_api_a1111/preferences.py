"""What each caller has set; it lives as long as the server."""

from latentry_api_a1111.settings import Chosen
from latentry_sdk.service import Caller


class Preferences:
    """Settings by credential: one caller's change is not another's."""

    def __init__(self) -> None:
        self._chosen: dict[str, Chosen] = {}

    def of(self, caller: Caller) -> Chosen:
        """What the caller has set, or the host's own."""
        return self._chosen.get(caller.name, Chosen())

    def keep(self, caller: Caller, chosen: Chosen) -> None:
        """Let the caller's next calls have these."""
        self._chosen[caller.name] = chosen
