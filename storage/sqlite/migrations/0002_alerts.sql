-- Where people are told that something needs them. Without tenant and environment: of all of them.
CREATE TABLE channels (
    name           TEXT PRIMARY KEY,
    kind           TEXT NOT NULL CHECK (kind IN ('webhook', 'email')),
    tenant_id      TEXT,
    environment_id TEXT,
    settings       TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for each thing that can need a person; `alert_id` is another whenever it does so anew.
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

CREATE INDEX alert_messages_due ON alert_messages (status, next_attempt_at) WHERE status = 'pending';
CREATE INDEX alert_messages_channel ON alert_messages (channel, status);
CREATE INDEX alert_messages_alert ON alert_messages (alert_id);
CREATE INDEX alert_messages_tenant ON alert_messages (tenant_id, environment_id);
CREATE INDEX alert_messages_ended ON alert_messages (ended_at) WHERE ended_at IS NOT NULL;

-- What alerts are seen from, without a look at the rows themselves.
CREATE INDEX jobs_failed ON jobs (status, tenant_id, environment_id, error_code, updated_at) WHERE status = 'failed';
CREATE INDEX reviews_waiting ON reviews (status, tenant_id, environment_id, kind, created_at) WHERE status = 'open';
CREATE INDEX rejections_at ON rejections (at);
