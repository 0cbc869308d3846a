"""Accounts and what proves who somebody is: sessions, keys, identities elsewhere, consents, the audit log."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    """
CREATE TABLE accounts (
    id uuid PRIMARY KEY,
    email text,
    email_key text UNIQUE,
    username text,
    username_key text UNIQUE,
    password_hash text,
    first_name text,
    last_name text,
    company text,
    role text NOT NULL DEFAULT 'user',
    plan text NOT NULL DEFAULT 'free',
    is_active boolean NOT NULL DEFAULT true,
    confirmed_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    password_changed_at timestamptz,
    last_login timestamptz,
    imported_from text UNIQUE
)""",
    "COMMENT ON COLUMN accounts.email IS 'As written; null for an identity elsewhere that names none.'",
    "COMMENT ON COLUMN accounts.email_key IS 'In the form in which two spellings are one.'",
    "COMMENT ON COLUMN accounts.password_hash IS 'Argon2id, or an imported hash until the next login; null for none.'",
    "COMMENT ON COLUMN accounts.first_name IS 'Fernet, as are last_name and company.'",
    "COMMENT ON COLUMN accounts.confirmed_at IS 'When the e-mail address was shown to be theirs.'",
    "COMMENT ON COLUMN accounts.imported_from IS 'Which system it came from, and its id there.'",
    "CREATE INDEX accounts_created ON accounts (created_at DESC, id DESC)",
    "CREATE INDEX accounts_bcrypt ON accounts (id) WHERE password_hash LIKE '$2%'",
    """
CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_reason text,
    family_hash bytea NOT NULL,
    refresh_hash bytea NOT NULL,
    previous_hash bytea,
    rotated_at timestamptz,
    successor text,
    user_agent text,
    ip text
)""",
    "COMMENT ON COLUMN sessions.family_hash IS 'SHA-256 of the part that all refresh tokens of the session share.'",
    "COMMENT ON COLUMN sessions.successor IS 'Fernet: the token that replaced the previous one, to say it again.'",
    "CREATE INDEX sessions_account ON sessions (account_id)",
    "CREATE INDEX sessions_expires ON sessions (expires_at)",
    """
CREATE TABLE resets (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    token_hash bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    ip text
)""",
    "CREATE INDEX resets_account ON resets (account_id)",
    """
CREATE TABLE consents (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    kind text NOT NULL,
    given boolean NOT NULL,
    at timestamptz NOT NULL,
    ip text
)""",
    "CREATE INDEX consents_account_at ON consents (account_id, at)",
    """
CREATE TABLE throttles (
    key text PRIMARY KEY,
    attempts integer NOT NULL,
    at timestamptz NOT NULL,
    until timestamptz
)""",
    "COMMENT ON COLUMN throttles.until IS 'No attempt before; null for at once.'",
    "CREATE INDEX throttles_at ON throttles (at)",
    """
CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    owner text NOT NULL,
    name text NOT NULL,
    prefix text NOT NULL UNIQUE,
    digest bytea NOT NULL UNIQUE,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz,
    uses bigint NOT NULL DEFAULT 0,
    revoked_at timestamptz,
    rotated_to uuid
)""",
    "CREATE INDEX api_keys_owner ON api_keys (owner, created_at DESC)",
    """
CREATE TABLE signing_keys (
    kid text PRIMARY KEY,
    private_key text NOT NULL,
    public_jwk jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    signs_until timestamptz NOT NULL,
    verifies_until timestamptz NOT NULL
)""",
    "COMMENT ON COLUMN signing_keys.private_key IS 'Fernet.'",
    """
CREATE TABLE oidc_identities (
    issuer text,
    subject text,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (issuer, subject)
)""",
    "CREATE INDEX oidc_identities_account ON oidc_identities (account_id)",
    """
CREATE TABLE audit_log (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text,
    action text NOT NULL,
    ip text,
    user_agent text,
    details jsonb NOT NULL
)""",
    "COMMENT ON COLUMN audit_log.actor IS 'An owner; null for a stranger.'",
    "CREATE INDEX audit_log_at ON audit_log (at DESC, id DESC)",
    "CREATE INDEX audit_log_actor_at ON audit_log (actor, at DESC, id DESC)",
)


def upgrade() -> None:
    """Make the tables."""
    for statement in STATEMENTS:
        op.execute(statement)
