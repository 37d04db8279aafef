-- What holds calls back, as workers report it once a second: a row for each gate that is closed in a worker. A worker that
-- ends in good order takes its rows away; those of one that was killed count for 10 s after they were last seen.
CREATE TABLE provider_gates (
    provider text        NOT NULL,
    gate     text        NOT NULL,                       -- operator, misconfigured, rate_limited, breaker, dlq_flood
    worker   text        NOT NULL,                       -- host:port of its health server
    why      text        NOT NULL,
    since    timestamptz NOT NULL,
    until    timestamptz,                                -- null: until somebody opens it, or a probe does
    seen_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (provider, gate, worker)
);

-- Which workers there are, closed gates or none, and how far each has carried out the orders below. Counts for 10 s, too.
CREATE TABLE provider_workers (
    provider      text        NOT NULL,
    worker        text        NOT NULL,
    applied_order bigint      NOT NULL,                  -- every order up to this id; 0: there was none
    seen_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (provider, worker)
);

-- What operators ordered. Kept: it is also the answer to "who stopped us that night". The last order of the gate `operator`
-- holds for workers that start later, too; the other gates close by themselves, and can only be opened by an order.
CREATE TABLE gate_orders (
    id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider text        NOT NULL,
    gate     text        NOT NULL,
    action   text        NOT NULL CHECK (action = 'open' OR (action = 'close' AND gate = 'operator')),
    why      text        NOT NULL,
    who      text        NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX gate_orders_gate ON gate_orders (provider, gate, id);

-- Ids become visible in their order. 1. A takes id 5. 2. B takes id 6 and commits. 3. A worker reads up to 6. 4. A commits: 5
-- would never be read. So who inserts waits for who inserts already; a statement's trigger runs before it takes an id.
CREATE FUNCTION give_orders_in_turn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('gate_orders'));
    RETURN NULL;
END
$$;
CREATE TRIGGER give_orders_in_turn BEFORE INSERT ON gate_orders
FOR EACH STATEMENT EXECUTE FUNCTION give_orders_in_turn();
