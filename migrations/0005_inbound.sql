-- Dead letters are read again on request, and we remember up to when Slack could reach us.

ALTER TABLE dead_letter ADD COLUMN state TEXT NOT NULL DEFAULT 'kept'
    CHECK (state IN ('kept', 'wanted', 'replayed', 'unreadable'));
ALTER TABLE dead_letter ADD COLUMN tried_at INTEGER;
CREATE INDEX dead_letter_state ON dead_letter (state, id);

ALTER TABLE installation ADD COLUMN heard_until INTEGER;
