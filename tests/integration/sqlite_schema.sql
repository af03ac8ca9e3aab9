CREATE INDEX alert_messages_alert ON alert_messages (alert_id);
CREATE INDEX alert_messages_channel ON alert_messages (channel, status);
CREATE INDEX alert_messages_due ON alert_messages (status, next_attempt_at) WHERE status = 'pending';
CREATE INDEX alert_messages_ended ON alert_messages (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX alert_messages_tenant ON alert_messages (tenant_id, environment_id);
CREATE INDEX audit_subject ON audit (subject);
CREATE INDEX audit_tenant ON audit (tenant_id, environment_id);
CREATE INDEX customers_id ON customers (customer_id);
CREATE INDEX customers_tenant ON customers (tenant_id, environment_id);
CREATE INDEX deliveries_entity ON deliveries (entity_id) WHERE entity_id IS NOT NULL;
CREATE UNIQUE INDEX deliveries_key ON deliveries (delivery_key, source);
CREATE INDEX deliveries_open ON deliveries (status, dispatched) WHERE status NOT IN ('processed', 'ignored');
CREATE INDEX deliveries_source ON deliveries (source);
CREATE INDEX deliveries_subject ON deliveries (subject) WHERE subject IS NOT NULL;
CREATE INDEX deliveries_tenant ON deliveries (tenant_id, environment_id);
CREATE INDEX intents_entity ON intents (entity_id, connection);
CREATE UNIQUE INDEX intents_open ON intents (source, entity_type, entity_id, connection) WHERE closed_at IS NULL;
CREATE INDEX jobs_delivery ON jobs (delivery_id);
CREATE INDEX jobs_due ON jobs (gate, next_attempt_at) WHERE status = 'pending';
CREATE INDEX jobs_entity ON jobs (entity_id);
CREATE INDEX jobs_error ON jobs (error_code) WHERE error_code IS NOT NULL;
CREATE INDEX jobs_failed ON jobs (status, tenant_id, environment_id, error_code, updated_at) WHERE status = 'failed';
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE status = 'running';
CREATE UNIQUE INDEX jobs_lock ON jobs (lock_key) WHERE status = 'running';
CREATE INDEX jobs_open ON jobs (status) WHERE status NOT IN ('succeeded', 'cancelled');
CREATE INDEX jobs_parked ON jobs (lock_key, parked_at) WHERE parked_at IS NOT NULL;
CREATE INDEX jobs_subject ON jobs (subject, connection, kind) WHERE status = 'succeeded' AND outcome = 'done';
CREATE INDEX jobs_tenant ON jobs (tenant_id, environment_id);
CREATE INDEX jobs_waits_for ON jobs (waits_for) WHERE waits_for IS NOT NULL;
CREATE INDEX mappings_connection ON mappings (connection);
CREATE INDEX mappings_entity ON mappings (entity_id);
CREATE INDEX mappings_provider ON mappings (provider_entity_id, connection);
CREATE UNIQUE INDEX mappings_record ON mappings (connection, entity_type, provider_entity_id)
    WHERE status = 'linked' AND shared = 0;
CREATE INDEX mappings_tenant ON mappings (tenant_id, environment_id);
CREATE INDEX mappings_unlinked ON mappings (status) WHERE status <> 'linked';
CREATE INDEX rejections_at ON rejections (at);
CREATE INDEX rejections_source ON rejections (source, at);
CREATE INDEX reviews_entity ON reviews (entity_id);
CREATE INDEX reviews_job ON reviews (job_id);
CREATE UNIQUE INDEX reviews_open ON reviews (job_id) WHERE status = 'open';
CREATE INDEX reviews_status ON reviews (status);
CREATE INDEX reviews_tenant ON reviews (tenant_id, environment_id);
CREATE INDEX reviews_waiting ON reviews (status, tenant_id, environment_id, kind, created_at) WHERE status = 'open';
CREATE TABLE alert_messages (
    number          INTEGER PRIMARY KEY,
    message_id      TEXT NOT NULL UNIQUE,
    alert_id        TEXT NOT NULL,
    channel         TEXT NOT NULL,
    tenant_id       TEXT NOT NULL,
    environment_id  TEXT NOT NULL,
    kind            TEXT NOT NULL,
    event           TEXT NOT NULL,
    content         TEXT NOT NULL,
    status          TEXT NOT NULL CHECK (status IN ('pending', 'sent', 'failed')),
    attempts        INTEGER NOT NULL,
    error           TEXT,
    created_at      INTEGER NOT NULL,
    next_attempt_at INTEGER,
    ended_at        INTEGER
) STRICT;
CREATE TABLE alerts (
    kind           TEXT NOT NULL,
    tenant_id      TEXT NOT NULL,
    environment_id TEXT NOT NULL,
    subject        TEXT NOT NULL,
    alert_id       TEXT NOT NULL UNIQUE,
    status         TEXT NOT NULL CHECK (status IN ('open', 'closed')),
    count          INTEGER NOT NULL,
    facts          TEXT NOT NULL,
    newest_at      INTEGER,
    opened_at      INTEGER NOT NULL,
    told_at        INTEGER,
    told_count     INTEGER NOT NULL,
    closed_at      INTEGER,
    version        INTEGER NOT NULL,
    PRIMARY KEY (kind, tenant_id, environment_id, subject)
) STRICT, WITHOUT ROWID;
CREATE TABLE attempts (
    job_id      TEXT NOT NULL,
    number      INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    outcome     TEXT NOT NULL,
    error       TEXT,
    exchanges   TEXT,
    decision    TEXT,
    worker      TEXT NOT NULL,
    PRIMARY KEY (job_id, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE audit (
    audit_id       INTEGER PRIMARY KEY,
    at             INTEGER NOT NULL,
    actor          TEXT NOT NULL,
    tenant_id      TEXT,
    environment_id TEXT,
    action         TEXT NOT NULL,
    subject        TEXT NOT NULL,
    detail         TEXT
) STRICT;
CREATE TABLE bodies (
    number  INTEGER PRIMARY KEY, -- the delivery's
    headers BLOB NOT NULL,
    body    BLOB NOT NULL
) STRICT;
CREATE TABLE budgets (
    connection TEXT PRIMARY KEY,
    state      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE channels (
    name           TEXT PRIMARY KEY,
    kind           TEXT NOT NULL CHECK (kind IN ('webhook', 'email')),
    tenant_id      TEXT,
    environment_id TEXT,
    settings       TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE circuits (
    connection  TEXT PRIMARY KEY,
    failures    INTEGER NOT NULL, -- in a row
    rest        INTEGER NOT NULL, -- microseconds, the next time
    open_until  INTEGER,
    opened_at   INTEGER,
    probe_until INTEGER,
    held_until  INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE connections (
    name           TEXT PRIMARY KEY,
    connector      TEXT NOT NULL,
    tenant_id      TEXT NOT NULL,
    environment_id TEXT NOT NULL,
    status         TEXT NOT NULL CHECK (status IN ('active', 'paused', 'removed')),
    pause_reason   TEXT,
    pause_detail   TEXT,
    settings       TEXT NOT NULL,
    account        TEXT,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE customers (
    source         TEXT NOT NULL,
    customer_id    TEXT NOT NULL,
    tenant_id      TEXT NOT NULL,
    environment_id TEXT NOT NULL,
    name           TEXT NOT NULL DEFAULT '',
    email          TEXT NOT NULL DEFAULT '',
    seen_at        INTEGER NOT NULL,
    PRIMARY KEY (source, customer_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE deliveries (
    number         INTEGER PRIMARY KEY,
    delivery_id    TEXT NOT NULL UNIQUE,
    source         TEXT NOT NULL,
    tenant_id      TEXT NOT NULL,
    environment_id TEXT NOT NULL,
    delivery_key   TEXT NOT NULL,
    received_at    INTEGER NOT NULL,
    scheme         TEXT NOT NULL,
    secret_index   INTEGER NOT NULL,
    body_bytes     INTEGER NOT NULL,
    status         TEXT NOT NULL DEFAULT 'pending'
                   CHECK (status IN ('pending', 'processed', 'ignored', 'failed', 'needs_review')),
    dispatched     INTEGER NOT NULL DEFAULT 0,
    claimed_until  INTEGER NOT NULL DEFAULT 0,
    replays        INTEGER NOT NULL DEFAULT 0,
    event_type     TEXT,
    entity_id      TEXT,
    subject        TEXT,
    reason         TEXT
) STRICT;
CREATE TABLE facts (
    owner      TEXT NOT NULL,
    key        TEXT NOT NULL,
    value      TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE guards (
    connection TEXT NOT NULL,
    guard      TEXT NOT NULL,
    intent_id  TEXT NOT NULL,
    closed_at  INTEGER,
    PRIMARY KEY (connection, guard)
) STRICT, WITHOUT ROWID;
CREATE TABLE intents (
    intent_id       TEXT PRIMARY KEY,
    source          TEXT NOT NULL,
    entity_type     TEXT NOT NULL,
    entity_id       TEXT NOT NULL,
    connection      TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    epoch           INTEGER NOT NULL,
    variant         INTEGER NOT NULL,
    attempt         INTEGER NOT NULL,
    snapshot        TEXT,
    digest          TEXT NOT NULL,
    guards          TEXT NOT NULL DEFAULT '[]',
    started_at      INTEGER NOT NULL,
    looked_at       INTEGER,
    refused_at      INTEGER,
    result          TEXT,
    closed_at       INTEGER
) STRICT;
CREATE TABLE jobs (
    number          INTEGER PRIMARY KEY,
    job_id          TEXT NOT NULL UNIQUE,
    kind            TEXT NOT NULL,
    source          TEXT NOT NULL,
    tenant_id       TEXT NOT NULL,
    environment_id  TEXT NOT NULL,
    gate            TEXT NOT NULL,
    lock_key        TEXT NOT NULL,
    delivery_id     TEXT,
    connection      TEXT,
    entity_type     TEXT NOT NULL,
    entity_id       TEXT,
    subject         TEXT,
    payload         TEXT,
    dispatch        INTEGER NOT NULL, -- which dispatch of its delivery: 0, then one more for each replay
    status          TEXT NOT NULL
                    CHECK (status IN ('pending', 'running', 'succeeded', 'failed', 'cancelled', 'needs_review')),
    outcome         TEXT,
    reason          TEXT,
    error           TEXT,
    error_code      TEXT,
    attempts        INTEGER NOT NULL DEFAULT 0,
    failures        INTEGER NOT NULL DEFAULT 0,
    fence           INTEGER NOT NULL DEFAULT 0,
    lease_owner     TEXT,
    lease_until     INTEGER,
    claimed_at      INTEGER,
    next_attempt_at INTEGER,
    parked_at       INTEGER, -- while it waits for another with its lock key: when it was due
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
, waits_for TEXT) STRICT;
CREATE TABLE keys (
    key_id         TEXT PRIMARY KEY,
    name           TEXT NOT NULL,
    hash           BLOB NOT NULL UNIQUE,
    tenant_id      TEXT,
    environment_id TEXT,
    role           TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    created_at     INTEGER NOT NULL,
    last_used_at   INTEGER,
    revoked_at     INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE leases (
    name       TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE mappings (
    source             TEXT NOT NULL,
    entity_type        TEXT NOT NULL,
    entity_id          TEXT NOT NULL,
    connection         TEXT NOT NULL,
    connector          TEXT NOT NULL,
    tenant_id          TEXT NOT NULL,
    environment_id     TEXT NOT NULL,
    provider_entity_id TEXT,
    status             TEXT NOT NULL CHECK (status IN ('intended', 'linked', 'stale')),
    origin             TEXT,
    why                TEXT,
    shared             INTEGER NOT NULL DEFAULT 0,
    epoch              INTEGER NOT NULL DEFAULT 0,
    details            TEXT,
    synced_at          INTEGER,
    written_back_at    INTEGER,
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL, notes TEXT,
    PRIMARY KEY (source, entity_type, entity_id, connection),
    CHECK (status <> 'linked' OR provider_entity_id IS NOT NULL)
) STRICT, WITHOUT ROWID;
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE rejection_counts (
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (source, reason)
) STRICT, WITHOUT ROWID;
CREATE TABLE rejections (
    number      INTEGER PRIMARY KEY,
    source      TEXT NOT NULL,
    at          INTEGER NOT NULL,
    reason      TEXT NOT NULL,
    headers     TEXT NOT NULL,
    body_sha256 TEXT NOT NULL,
    body_bytes  INTEGER NOT NULL
) STRICT;
CREATE TABLE reviews (
    number             INTEGER PRIMARY KEY,
    review_id          TEXT NOT NULL UNIQUE,
    job_id             TEXT,
    source             TEXT NOT NULL,
    tenant_id          TEXT NOT NULL,
    environment_id     TEXT NOT NULL,
    connection         TEXT,
    entity_type        TEXT NOT NULL,
    entity_id          TEXT,
    kind               TEXT NOT NULL,
    reason             TEXT NOT NULL,
    candidates         TEXT,
    customer           TEXT,
    status             TEXT NOT NULL CHECK (status IN ('open', 'resolved')),
    decision           TEXT,
    provider_entity_id TEXT,
    created_at         INTEGER NOT NULL,
    resolved_at        INTEGER,
    resolved_by        TEXT
, voided_at INTEGER) STRICT;
CREATE TABLE schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT;
CREATE TABLE secrets (
    owner TEXT NOT NULL,
    field TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (owner, field)
) STRICT, WITHOUT ROWID;
CREATE TABLE source_activity (
    source           TEXT PRIMARY KEY,
    last_accepted_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sources (
    name           TEXT PRIMARY KEY,
    platform       TEXT NOT NULL,
    tenant_id      TEXT NOT NULL,
    environment_id TEXT NOT NULL,
    verification   TEXT NOT NULL,
    status         TEXT NOT NULL CHECK (status IN ('active', 'disabled')),
    settings       TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE tokens (
    connection TEXT PRIMARY KEY,
    payload    BLOB NOT NULL,
    version    INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
