"""Who speaks: a token, and the credentials to get another one when it has expired."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Login:
    """The token of a person, shared by all clients that speak for him; "" for nobody.

    `renew` logs in and returns a new token; None where the credentials are not known.
    """

    token: str = field(default="", repr=False)
    renew: Callable[[], str] | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def renewed(self, refused: str) -> bool:
        """Get a new token in the place of one that was refused; tell whether there is another one now.

        Of several threads that were refused together one logs in.
        """
        if self.renew is None:
            return False
        with self._lock:
            if self.token == refused:
                self.token = self.renew()
        return True
