"""What a blocking client and an asynchronous one have in common."""

from scribewire.caller import ApiKey, Caller, Credential
from scribewire.config import Gateway, discover, is_address, no_address
from scribewire.errors import NotConfigured
from scribewire.logins import InMemory
from scribewire.session import Session


class Core:
    """Where a client calls and as whom.

    Parameters
    ----------
    gateway
        Address and key or login; by default what `scribewire.config.discover` finds.
    patience
        Seconds for which a gateway that went away, or answers 503 or 429, is asked again. One that was never reached
        is given up at once: it does not run, or its address is wrong.

    Raises
    ------
    NotConfigured
        When no gateway is known, or its address is none.
    """

    def __init__(self, gateway: Gateway | None = None, *, patience: float = 60.0) -> None:
        self.gateway = gateway or discover()
        """Where it calls."""
        if not is_address(self.gateway.url):
            raise NotConfigured(no_address(self.gateway.url))
        self._patience = patience
        credential: Credential
        if self.gateway.keep is not None:
            credential = Session(self.gateway.url, self.gateway.keep, patience=patience)
        else:
            credential = ApiKey(self.gateway.key)
        self._caller = Caller(self.gateway.url, credential, patience)

    def _session(self) -> Session:
        """The login of this client; from now on it calls with that instead of a key."""
        if not isinstance(self._caller.credential, Session):
            keep = self.gateway.keep or InMemory()
            self._caller.credential = Session(self.gateway.url, keep, patience=self._patience)
        return self._caller.credential
