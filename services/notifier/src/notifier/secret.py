"""The secret that signs what goes to callback addresses, which have no secret of their own."""

import base64
import hmac
from hashlib import sha256

from notifier.settings import SigningSettings

_PURPOSE = b"scribewire callback webhooks v1"


def callback_secret(settings: SigningSettings) -> str:
    """The configured secret, or one made from the operator's key: whoever holds the key can make it too.

    It is ``whsec_`` and the base64 of HMAC-SHA256(operator key, "scribewire callback webhooks v1");
    ``python -m notifier secret`` prints it.

    Raises
    ------
    ValueError
        When there is neither a secret nor a key.
    """
    if settings.webhook_secret is not None:
        return settings.webhook_secret.get_secret_value()
    if settings.operator_key_file is None:
        msg = "set SCRIBEWIRE_WEBHOOK_SECRET or SCRIBEWIRE_OPERATOR_KEY_FILE: callbacks are never sent unsigned"
        raise ValueError(msg)
    try:
        key = settings.operator_key_file.read_text().strip()
    except OSError as error:
        msg = f"the operator key file cannot be read: {error.strerror}"
        raise ValueError(msg) from error
    return "whsec_" + base64.b64encode(hmac.digest(key.encode(), _PURPOSE, sha256)).decode()
