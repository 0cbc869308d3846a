"""What schemathesis must be told of our API: how a body is sent that is bytes by another name."""

import schemathesis

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
for manifest in ("application/x-ndjson", "text/csv"):
    schemathesis.serializer.alias(manifest, "application/octet-stream")
