"""Hold what all requests share: the office, the settings, the stream of events, the counters."""

from __future__ import annotations

import threading

from starlette.requests import Request

from makeway.live.tracker import Tracker
from makeway.server.counts import Counts
from makeway.server.feed import Feed
from makeway.server.office import Office, Settings


class Front:
    """The one thing that an app carries around; see the module.

    `policy_lock` is held while a policy is compared with what its sender saw and then replaced.
    `tracker` is there once the address is known that workers are told.
    """

    def __init__(self, office: Office, settings: Settings) -> None:
        """Take what is served, and how."""
        self.office, self.settings = office, settings
        self.feed = Feed(office)
        self.counts = Counts()
        self.policy_lock = threading.Lock()
        self.listens_on = ""
        self.tracker: Tracker | None = None


def front_of(request: Request) -> Front:
    """Give what the app of this request carries."""
    front = request.app.state.front
    assert isinstance(front, Front), "create_app puts it there"
    return front
