"""The tables, as SQLAlchemy Core sees them; a test compares them with what the migrations make."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    false,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata = MetaData()

_time = DateTime(timezone=True)

jobs = Table(
    "jobs",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("attempt", Integer, nullable=False, server_default="1"),
    Column("status", Text, nullable=False, server_default="queued"),
    Column("stage", Text, nullable=False, server_default="gateway"),
    Column("fraction", Double, nullable=False, server_default="0"),
    Column("detail", Text, nullable=False, server_default=""),
    Column("created_at", _time, comment="Null until upload.received was seen; users do not see the row before."),
    Column("updated_at", _time),
    Column("finished_at", _time),
    Column("transcribed_at", _time),
    Column("filename", Text),
    Column("content_type", Text),
    Column("source_blob", Text),
    Column("size", BigInteger),
    Column("sha256", Text),
    Column("options", JSONB),
    Column("plan", JSONB),
    Column("idempotent", Boolean, nullable=False, server_default=false()),
    Column("duration", Double),
    Column("media", JSONB),
    Column("language", Text),
    Column("words", Integer),
    Column("segments", Integer),
    Column("provider", Text),
    Column("model", Text),
    Column("transcript_blob", Text),
    Column("translations", JSONB, comment="Languages that follow the transcript; null until it is there."),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("announced", Boolean, nullable=False, server_default=false()),
    Column("reused_from", UUID, comment="The job whose results were copied; it may be gone."),
    Column("address", Text, comment="Where the source was to be fetched from, without what may be secret."),
    Index("jobs_owner_created", "owner", text("created_at DESC"), text("id DESC")),
    Index("jobs_owner_sha256", "owner", "sha256"),
    Index(
        "jobs_unannounced",
        "id",
        postgresql_where=text("finished_at IS NOT NULL AND created_at IS NOT NULL AND NOT announced"),
    ),
)

translations = Table(
    "translations",
    metadata,
    Column("job_id", UUID, primary_key=True),
    Column("language", Text, primary_key=True),
    Column("translator", Text),
    Column("blob", Text),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("completed_at", _time, comment="When it was there, or when it had failed."),
)

utterances = Table(
    "utterances",
    metadata,
    Column("job_id", UUID, primary_key=True),
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("start", Double, nullable=False),
    Column("end", Double, nullable=False),
    Column("speaker", Text),
    Column("text", Text, nullable=False),
)

usage = Table(
    "usage",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("job_id", UUID, nullable=False),
    Column("owner", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("model", Text),
    Column("audio_seconds", Double, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("cost_usd", Numeric, nullable=False),
    Column("at", _time, nullable=False),
    Index("usage_owner_at", "owner", "at"),
    Index("usage_job", "job_id"),
)

erased_jobs = Table(
    "erased_jobs",
    metadata,
    Column("job_id", UUID, primary_key=True),
    Column("erased_at", _time, nullable=False),
    Column("sweep", Boolean, nullable=False, server_default=true(), comment="Blobs and log entries are still to go."),
    Column("proved", Boolean, nullable=False, server_default=false(), comment="proof.deleted was published."),
    Column("owner", Text, comment="Kept only while there is something to sweep."),
    Column("languages", ARRAY(Text), comment="Of translations; kept only while there is something to sweep."),
    Column("rows", Integer, nullable=False, server_default="0", comment="How many went, for the proof."),
    Column("round", Integer, nullable=False, server_default="1", comment="Raised each time a sweep is asked for."),
    Index("erased_jobs_sweep", "job_id", postgresql_where=text("sweep")),
)

projection_offsets = Table(
    "projection_offsets",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),
)

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("events", ARRAY(Text), nullable=False),
    Column("disabled_at", _time),
    Column("disabled_reason", Text),
    Column("created_at", _time, nullable=False),
    Index("webhook_endpoints_owner", "owner"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("endpoint_id", UUID),
    Column("job_id", UUID, nullable=False),
    Column("owner", Text, nullable=False),
    Column("event_id", UUID, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("body", Text, comment="Null once its job is erased."),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due_at", _time),
    Column("delivered_at", _time),
    Column("failed_at", _time),
    Column("last_status", Integer),
    Column("last_error", Text),
    Column("created_at", _time, nullable=False),
    Index("webhook_deliveries_due", "due_at", postgresql_where=text("delivered_at IS NULL AND failed_at IS NULL")),
    Index("webhook_deliveries_job", "job_id"),
)
