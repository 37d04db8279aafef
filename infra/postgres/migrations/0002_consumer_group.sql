-- One database serves one consumer group: two groups would both call for every record, and each would skip what the other
-- stored. Workers claim the row at start; `tokenflow migrate --adopt-group NAME` changes the owner.
CREATE TABLE consumer_group (
    singleton  boolean     PRIMARY KEY DEFAULT true CHECK (singleton),
    group_id   text        NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
