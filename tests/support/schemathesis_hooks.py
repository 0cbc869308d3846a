"""What schemathesis does not know of our media types; it is told of this module by SCHEMATHESIS_HOOKS."""

import schemathesis

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
