"""The tables, as SQLAlchemy Core sees them; a test compares them with what the migrations make."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    false,
    func,
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
    Index("jobs_open", "owner", postgresql_where=text("finished_at IS NULL")),
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

erased_accounts = Table(
    "erased_accounts",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("asked_at", _time, nullable=False),
    Column("forgotten_at", _time, comment="When the gateway had nothing left of it; null until then."),
    Column("swept_at", _time, comment="When nothing was left; null until then."),
    Column("jobs", Integer, nullable=False, server_default="0", comment="How many there were, for the proof."),
    Column("usage", Integer, nullable=False, server_default="0"),
    Column("deliveries", Integer, nullable=False, server_default="0"),
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
    Column("secret", Text, nullable=False, comment="Fernet, behind a mark; in clear if an earlier release wrote it."),
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
    Index("webhook_deliveries_owner", "owner"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("email", Text, comment="As written; null for an identity elsewhere that names none."),
    Column("email_key", Text, unique=True, comment="In the form in which two spellings are one."),
    Column("username", Text),
    Column("username_key", Text, unique=True),
    Column("password_hash", Text, comment="Argon2id, or an imported hash until the next login; null for none."),
    Column("first_name", Text, comment="Fernet, as are last_name and company."),
    Column("last_name", Text),
    Column("company", Text),
    Column("role", Text, nullable=False, server_default="user"),
    Column("plan", Text, nullable=False, server_default="free"),
    Column("is_active", Boolean, nullable=False, server_default=true()),
    Column("confirmed_at", _time, comment="When the e-mail address was shown to be theirs."),
    Column("created_at", _time, nullable=False),
    Column("updated_at", _time, nullable=False),
    Column("password_changed_at", _time),
    Column("last_login", _time),
    Column("imported_from", Text, unique=True, comment="Which system it came from, and its id there."),
    Index("accounts_created", text("created_at DESC"), text("id DESC")),
    Index("accounts_bcrypt", "id", postgresql_where=text("password_hash LIKE '$2%'")),
)


def _account(*, nullable: bool = False) -> Column[object]:
    return Column("account_id", UUID, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=nullable)


sessions = Table(
    "sessions",
    metadata,
    Column("id", UUID, primary_key=True),
    _account(),
    Column("created_at", _time, nullable=False),
    Column("last_seen", _time, nullable=False),
    Column("expires_at", _time, nullable=False),
    Column("revoked_at", _time),
    Column("revoked_reason", Text),
    Column(
        "family_hash",
        LargeBinary,
        nullable=False,
        comment="SHA-256 of the part that all refresh tokens of the session share.",
    ),
    Column("refresh_hash", LargeBinary, nullable=False),
    Column("previous_hash", LargeBinary),
    Column("rotated_at", _time),
    Column("successor", Text, comment="Fernet: the token that replaced the previous one, to say it again."),
    Column("user_agent", Text),
    Column("ip", Text),
    Index("sessions_account", "account_id"),
    Index("sessions_expires", "expires_at"),
)

resets = Table(
    "resets",
    metadata,
    Column("id", UUID, primary_key=True),
    _account(),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("created_at", _time, nullable=False),
    Column("expires_at", _time, nullable=False),
    Column("used_at", _time),
    Column("ip", Text),
    Index("resets_account", "account_id"),
)

consents = Table(
    "consents",
    metadata,
    Column("id", UUID, primary_key=True),
    _account(),
    Column("kind", Text, nullable=False),
    Column("given", Boolean, nullable=False),
    Column("at", _time, nullable=False),
    Column("ip", Text),
    Index("consents_account_at", "account_id", "at"),
)

throttles = Table(
    "throttles",
    metadata,
    Column("key", Text, primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("at", _time, nullable=False),
    Column("until", _time, comment="No attempt before; null for at once."),
    Index("throttles_at", "at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False, unique=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", _time, nullable=False),
    Column("expires_at", _time),
    Column("last_used_at", _time),
    Column("uses", BigInteger, nullable=False, server_default="0"),
    Column("revoked_at", _time),
    Column("rotated_to", UUID),
    Index("api_keys_owner", "owner", text("created_at DESC")),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("private_key", Text, nullable=False, comment="Fernet."),
    Column("public_jwk", JSONB, nullable=False),
    Column("created_at", _time, nullable=False),
    Column("signs_until", _time, nullable=False),
    Column("verifies_until", _time, nullable=False),
)

oidc_identities = Table(
    "oidc_identities",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    _account(),
    Column("created_at", _time, nullable=False, server_default=func.now()),
    Index("oidc_identities_account", "account_id"),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("at", _time, nullable=False),
    Column("actor", Text, comment="An owner; null for a stranger."),
    Column("action", Text, nullable=False),
    Column("ip", Text),
    Column("user_agent", Text),
    Column("details", JSONB, nullable=False),
    Index("audit_log_at", text("at DESC"), text("id DESC")),
    Index("audit_log_actor_at", "actor", text("at DESC"), text("id DESC")),
    Index("audit_log_account", text("(details->>'account')"), postgresql_where=text("details ? 'account'")),
)

mails = Table(
    "mails",
    metadata,
    Column("id", UUID, primary_key=True),
    _account(nullable=True),
    Column("kind", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("body", Text, comment="Fernet; null once it was sent or given up."),
    Column("created_at", _time, nullable=False),
    Column("due_at", _time),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("sent_at", _time),
    Column("failed_at", _time),
    Column("last_error", Text),
    Index("mails_due", "due_at", postgresql_where=text("sent_at IS NULL AND failed_at IS NULL")),
    Index("mails_account", "account_id"),
)

batches = Table(
    "batches",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("request", Text, nullable=False, comment="Hash of how it was asked for, besides the body."),
    Column("keyed", Boolean, nullable=False, comment="It came with an Idempotency-Key, so its bare id stays."),
    Column("received", Integer, nullable=False, server_default="0", comment="Lines that are in batch_items."),
    Column("digest", Text, nullable=False, server_default="", comment="SHA-256 of the body up to there."),
    Column("total", Integer, nullable=False, server_default="0"),
    Column("bad", Integer, nullable=False, server_default="0"),
    Column(
        "completed",
        Integer,
        nullable=False,
        server_default="0",
        comment="How many items are in this state; changed by what changes their states.",
    ),
    Column("failed", Integer, nullable=False, server_default="0"),
    Column("cancelled", Integer, nullable=False, server_default="0"),
    Column("created_at", _time, nullable=False),
    Column("touched_at", _time, nullable=False),
    Column("finished_at", _time),
    Index("batches_owner_created", "owner", text("created_at DESC"), text("id DESC")),
    Index("batches_open", "status", postgresql_where=text("finished_at IS NULL")),
)

_out = text("state IN ('claimed', 'released')")

batch_items = Table(
    "batch_items",
    metadata,
    Column("batch_id", UUID, primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("owner", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False, server_default="1"),
    Column("job_id", UUID),
    Column("reference", Text),
    Column("kind", Text),
    Column("address", Text, comment="Encrypted, for there may be a secret in it."),
    Column("source", Text, comment="The name of a blob, or the id of an upload."),
    Column("shown", Text),
    Column("options", JSONB),
    Column("claimed_at", _time),
    Column("ended_at", _time),
    Column("duration", Double),
    Column("error_field", Text),
    Column("error_code", Text),
    Column("error_message", Text),
    Index("batch_items_state", "batch_id", "state", "line"),
    Index("batch_items_owner", "owner"),
    Index("batch_items_out", "owner", "job_id", postgresql_where=_out),
    Index("batch_items_ended", "batch_id", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
)

held_jobs = Table(
    "held_jobs",
    metadata,
    Column("job_id", UUID, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("event", JSONB, nullable=False, comment="The upload.received that is published when it is let go."),
    Column("deadline", _time),
    Column("held_at", _time, nullable=False),
    Column("claimed_at", _time),
    Index("held_jobs_owner", "owner"),
)

account_limits = Table(
    "account_limits",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("limits", JSONB, nullable=False, comment="By name, what is other than in the plan; null for no limit."),
    Column("updated_at", _time, nullable=False),
)

allowances = Table(
    "allowances",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("month", Date, nullable=False, comment="First day of the month that is counted, in UTC."),
    Column("jobs", Integer, nullable=False, server_default="0"),
    Column("full_at", _time, nullable=False, comment="When the bucket of jobs per hour is full again."),
    Column("summed_at", _time, comment="When used_seconds and used_usd were summed up from usage and jobs."),
    Column("used_seconds", Double, nullable=False, server_default="0"),
    Column("used_usd", Numeric, nullable=False, server_default="0"),
)

counted_jobs = Table(
    "counted_jobs",
    metadata,
    Column("job_id", UUID, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("at", _time, nullable=False),
    Column("usd_per_minute", Numeric, nullable=False, server_default="0"),
    Column(
        "pending",
        Boolean,
        nullable=False,
        server_default=true(),
        comment="The job's row was not seen yet: its upload may be under way.",
    ),
    Column(
        "holders",
        Integer,
        nullable=False,
        server_default="1",
        comment="Requests that were let in for the job and have not failed.",
    ),
    Index("counted_jobs_owner", "owner"),
    Index("counted_jobs_pending", "owner", postgresql_where=text("pending")),
    Index("counted_jobs_at", "at"),
)
