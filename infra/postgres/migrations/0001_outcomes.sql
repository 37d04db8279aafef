-- What became of each record. One row a record, written by the workers' upsert (consumers/store/sql/upsert_outcomes.sql);
-- only a greater row overwrites, in the order (redrive_count, outcome, attempt), so the order of this enum is a contract.
CREATE TYPE outcome AS ENUM ('retrying', 'cancelled', 'dead_lettered', 'succeeded');

CREATE TABLE outcomes (
    record_id        uuid        PRIMARY KEY,
    token            text        COLLATE "C",            -- null: the value named no token (malformed)
    job_id           uuid,                               -- no foreign key: anyone can send a job-id
    line             bigint,                             -- line of the upload, from 1
    outcome          outcome     NOT NULL,
    attempt          integer     NOT NULL CHECK (attempt >= 0),        -- the attempt just made; 0: none was
    redrive_count    integer     NOT NULL DEFAULT 0 CHECK (redrive_count >= 0),
    result           jsonb,                              -- the provider's answer; set when succeeded
    error_kind       text,                               -- DESIGN's kinds: malformed, rejected, transient, ...
    error_message    text,
    source_topic     text        NOT NULL,
    source_partition integer     NOT NULL,
    source_offset    bigint      NOT NULL,
    source_timestamp timestamptz NOT NULL,               -- the broker's append time of the record on `tokens`
    settled_at       timestamptz NOT NULL DEFAULT clock_timestamp(),   -- when this outcome was written
    CHECK (outcome <> 'succeeded' OR result IS NOT NULL),
    CHECK (outcome IN ('succeeded', 'cancelled') OR error_kind IS NOT NULL)
);

-- "The latest outcome of a token": GET /tokens/{token}, and reuse of answers within their TTL.
CREATE INDEX outcomes_token_settled_at ON outcomes (token, settled_at);

-- Records that will not be retried by themselves, with everything needed to read and redrive them. The row decides; the
-- topic tokens.dlq is the durable log. payload and headers are the original bytes (headers: a JSON list of [name, base64]).
CREATE TABLE dead_letters (
    record_id        uuid        PRIMARY KEY,
    token            text        COLLATE "C",
    job_id           uuid,
    redrive_count    integer     NOT NULL DEFAULT 0,
    attempt          integer     NOT NULL,
    error_kind       text        NOT NULL,
    error_message    text        NOT NULL,
    key              bytea,
    payload          bytea,                              -- null: the record's value was null
    headers          bytea       NOT NULL,
    source_topic     text        NOT NULL,
    source_partition integer     NOT NULL,
    source_offset    bigint      NOT NULL,
    source_timestamp timestamptz NOT NULL,
    dead_lettered_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
