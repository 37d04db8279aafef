-- Records that an operator sets aside by their coordinates (error_kind set_aside): found by where they lie, before a worker
-- looks at their bytes. Such a record may be in a call meanwhile, and a success that comes later takes the row; so would the
-- outcome of a redrive. Its dead letter is then closed with it: what succeeded is none.
CREATE INDEX dead_letters_set_aside ON dead_letters (source_topic) WHERE error_kind = 'set_aside';

CREATE FUNCTION close_dead_letter() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM dead_letters WHERE record_id = NEW.record_id;
    RETURN NULL;
END
$$;

-- Only a row that was dead-lettered pays for it, and only when that changes.
CREATE TRIGGER close_dead_letter AFTER UPDATE OF outcome ON outcomes
FOR EACH ROW WHEN (OLD.outcome = 'dead_lettered' AND NEW.outcome IN ('succeeded', 'cancelled'))
EXECUTE FUNCTION close_dead_letter();
