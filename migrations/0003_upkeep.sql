-- Work of the night (backups, forgetting what is old), and ids that are never given twice.

CREATE TABLE upkeep (
    job       TEXT    PRIMARY KEY CHECK (job IN ('backup', 'retention')),
    -- The latest slot of its schedule that was done; an earlier one is not owed any more.
    slot_at   INTEGER,
    done_at   INTEGER,
    -- The last try, if it failed: why, and how many failed in a row.
    tried_at  INTEGER,
    problem   TEXT,
    failures  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Messages in Slack carry the ids of debriefs and kept texts. SQLite gives the highest id again
-- once its row is gone; an old button would then act on something else. New ids lie above this.
ALTER TABLE installation ADD COLUMN id_floor INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER debrief_id_is_spent AFTER DELETE ON debrief
WHEN old.id > (SELECT id_floor FROM installation) BEGIN
    UPDATE installation SET id_floor = old.id;
END;
CREATE TRIGGER pending_text_id_is_spent AFTER DELETE ON pending_text
WHEN old.id > (SELECT id_floor FROM installation) BEGIN
    UPDATE installation SET id_floor = old.id;
END;

-- For finding what is old without reading what is young.
CREATE INDEX meeting_end ON meeting (ends_at);
CREATE INDEX meeting_times ON meeting (ends_at) WHERE is_customer = 0;
CREATE INDEX outbox_words ON outbox (created_at) WHERE body <> '';
CREATE INDEX pending_text_loose ON pending_text (written_at) WHERE claimed_by IS NULL;
