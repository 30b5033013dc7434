-- Sending in step with Slack's limits.

-- What Slack lets us do of a method, as learnt from its refusals.
CREATE TABLE learnt_rate (
    method      TEXT    PRIMARY KEY,
    per_minute  REAL    NOT NULL CHECK (per_minute > 0),
    updated_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who goes first, and which rows wait for the same thing: see store/outbox.rs.
ALTER TABLE outbox ADD COLUMN lane INTEGER NOT NULL DEFAULT 1;
-- When its fate became unknown: it may still arrive for a while after that.
ALTER TABLE outbox ADD COLUMN doubted_at INTEGER;
UPDATE outbox SET
    lane = CASE
        WHEN kind = 'refresh' THEN 10
        WHEN kind = 'home' THEN 20
        WHEN state = 'uncertain' THEN 30
        WHEN kind = 'note' THEN 0
        WHEN kind = 'prompt' THEN 1
        WHEN kind = 'reminder' THEN 2
        ELSE 3
    END,
    doubted_at = CASE WHEN state IN ('sending', 'uncertain') THEN first_started_at END;
DROP INDEX outbox_due;
CREATE INDEX outbox_next ON outbox (lane, not_before, id) WHERE state IN ('queued', 'uncertain');
CREATE INDEX outbox_failed ON outbox (not_before) WHERE state = 'failed';
CREATE INDEX outbox_unknowable ON outbox (doubted_at)
    WHERE state = 'uncertain' AND problem IS NOT NULL;

-- When to try again to open somebody's conversation ahead of time.
ALTER TABLE person ADD COLUMN open_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX person_unopened ON person (open_at)
    WHERE is_active = 1 AND standing = 'member' AND channel IS NULL;
