"""The parts of this room, joined."""

from collections.abc import Callable

from common.blobs import Blobs
from common.crypt import Crypt
from gateway.database import Database
from gateway.identity.ended import EndedIdentities
from gateway.identity.ports import Audit
from gateway.privacy.api import PrivacyApi
from gateway.privacy.export import Export
from gateway.privacy.forget import Forgetter
from gateway.privacy.store import PrivacyStore
from gateway.problems import Handler
from gateway.settings import GatewaySettings
from gateway.store import Store


class Privacy:
    """Exports and ends.

    Parameters
    ----------
    not_let_in
        Told of owners who ended their account, so that the door forgets them at once.
    """

    def __init__(
        self,
        *,
        database: Database,
        store: Store,
        blobs: Blobs,
        crypt: Crypt,
        audit: Audit,
        ended: EndedIdentities,
        not_let_in: Callable[[str], None],
        settings: GatewaySettings,
    ) -> None:
        privacy = PrivacyStore(database, ended)
        forgetter = Forgetter(privacy)

        def tell(owner: str) -> None:
            not_let_in(owner)
            forgetter.wake()

        export = Export(store=store, privacy=privacy, blobs=blobs, crypt=crypt)
        api = PrivacyApi(export=export, store=privacy, audit=audit, ended=tell, settings=settings)
        self.handlers: dict[str, Handler] = {"export_account": api.export, "delete_account": api.delete}
        self.run = forgetter.run
        """What goes on in the background, for ever."""
