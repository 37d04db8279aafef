-- What operators did to many records at once: redrive or drop dead letters, replay the log. One row is order, progress and
-- audit in one, and is kept. Who runs it holds a lease on the database's clock; once that has expired, another goes on with it.
CREATE TABLE operations (
    id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    action       text        NOT NULL CHECK (action IN ('redrive', 'drop', 'replay')),
    filter       jsonb       NOT NULL,                   -- what was asked for, as the action reads it
    who          text        NOT NULL,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),       -- what fails later is none of its records
    rate         double precision CHECK (rate > 0),      -- records a second; null: as fast as it goes
    max_redrives integer     CHECK (max_redrives > 0),   -- a record that was redriven so often already is refused
    status       text        NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'stopped', 'done', 'failed')),
    selected     bigint      NOT NULL DEFAULT 0,         -- found when it began; others may take some of them first
    produced     bigint      NOT NULL DEFAULT 0,         -- acknowledged by the topic; of a drop: deleted
    refused      bigint      NOT NULL DEFAULT 0,         -- by max_redrives, or by the topic for their size
    note         text        NOT NULL DEFAULT '',        -- what it waits for, or why it ended
    holder       text        NOT NULL,                   -- host:pid of the process that runs it
    lease_until  timestamptz NOT NULL DEFAULT clock_timestamp() + interval '10 seconds',
    ended_at     timestamptz,
    CHECK ((status = 'running') = (ended_at IS NULL))
);
CREATE INDEX operations_at ON operations (at, id);
CREATE INDEX operations_running ON operations (lease_until) WHERE status = 'running';

-- open: an operator may act on it. redriving: its row is `retrying` again, its copy not acknowledged yet; the holder of its
-- operation produces it again after a crash. redriven: the copy is on its way; a success deletes the row, a failure opens it.
CREATE TYPE dead_letter_state AS ENUM ('open', 'redriving', 'redriven');
ALTER TABLE dead_letters
    ADD COLUMN state dead_letter_state NOT NULL DEFAULT 'open',
    ADD COLUMN operation_id uuid,                        -- the last one that took it; no foreign key: audit rows may go first
    -- Errors that differ in numbers, ids or the token are one group: HTTP 500 for token 17, and for token 18; not HTTP 404.
    ADD COLUMN error_group text NOT NULL GENERATED ALWAYS AS (
        left(
            regexp_replace(
                regexp_replace(
                    CASE WHEN length(token) >= 3 THEN replace(error_message, token, '<token>') ELSE error_message END,
                    '[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}', '<id>', 'g'
                ),
                '(?<!HTTP |[[:alnum:]_])[[:alnum:]_]*[0-9][[:alnum:]_]*', '#', 'g'
            ),
            200
        )
    ) STORED;

-- Pages in the order of (dead_lettered_at, record_id), and what an operation takes next. Most dead letters are open.
CREATE INDEX dead_letters_state ON dead_letters (state, dead_lettered_at, record_id);
CREATE INDEX dead_letters_kind ON dead_letters (error_kind, dead_lettered_at, record_id);
CREATE INDEX dead_letters_token ON dead_letters (token);
CREATE INDEX dead_letters_job ON dead_letters (job_id) WHERE job_id IS NOT NULL;

-- A record that was redriven is `retrying` on its way to success. OLD.redrive_count > 0: an ordinary retry pays nothing.
DROP TRIGGER close_dead_letter ON outcomes;
CREATE TRIGGER close_dead_letter AFTER UPDATE OF outcome ON outcomes
FOR EACH ROW WHEN (
    NEW.outcome IN ('succeeded', 'cancelled')
    AND (OLD.outcome = 'dead_lettered' OR (OLD.outcome = 'retrying' AND OLD.redrive_count > 0))
)
EXECUTE FUNCTION close_dead_letter();
