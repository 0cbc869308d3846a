"""The parts of this room, joined."""

from common.blobs import Blobs
from common.crypt import Crypt
from gateway.database import Database
from gateway.identity.ports import Audit
from gateway.privacy.api import PrivacyApi
from gateway.privacy.export import Export
from gateway.privacy.store import PrivacyStore
from gateway.problems import Handler
from gateway.settings import GatewaySettings
from gateway.store import Store


def privacy_room(
    *, database: Database, store: Store, blobs: Blobs, crypt: Crypt, audit: Audit, settings: GatewaySettings
) -> dict[str, Handler]:
    """The handlers by operation."""
    privacy = PrivacyStore(database)
    export = Export(store=store, privacy=privacy, blobs=blobs, crypt=crypt)
    api = PrivacyApi(export=export, store=privacy, audit=audit, settings=settings)
    return {"export_account": api.export, "delete_account": api.delete}
