"""The problems that only uploads in several requests have."""

from gateway.problems import Kind

UPLOAD_IS_FINAL = Kind("upload-is-final", 403, "This upload is made of others")
OFFSET_MISMATCH = Kind("offset-mismatch", 409, "The bytes do not follow what is there")
UPLOAD_UNFINISHED = Kind("upload-unfinished", 409, "The upload is not complete")
UPLOAD_TAKEN = Kind("upload-taken", 409, "The upload is used already")
UPLOAD_EXPIRED = Kind("upload-expired", 410, "The upload has expired")
VERSION_NOT_SUPPORTED = Kind("tus-version", 412, "This version of tus is not spoken here")
CONTENT_TYPE_NOT_SUPPORTED = Kind("unsupported-content-type", 415, "The body has another type than expected")
UPLOAD_BUSY = Kind("upload-busy", 423, "Another request is sending to this upload")
CHECKSUM_MISMATCH = Kind("checksum-mismatch", 460, "The bytes are not those that were sent")
