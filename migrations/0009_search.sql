-- The index of words follows behind: what people wrote is acknowledged first.

-- 1 while the index does not hold the words as they are now.
ALTER TABLE answer ADD COLUMN is_unindexed INTEGER NOT NULL DEFAULT 0
    CHECK (is_unindexed IN (0, 1));
CREATE INDEX answer_unindexed ON answer (rep_id, id) WHERE is_unindexed = 1;

-- What the index still holds of answers that were changed since.
CREATE TABLE outdated_words (
    answer_id  INTEGER PRIMARY KEY,
    body       TEXT    NOT NULL
) STRICT;

DROP TRIGGER answer_added;
DROP TRIGGER answer_changed;
DROP TRIGGER answer_removed;
CREATE TRIGGER answer_changed AFTER UPDATE OF body ON answer
WHEN old.is_text = 1 AND old.is_unindexed = 0 BEGIN
    INSERT INTO outdated_words (answer_id, body) VALUES (old.id, old.body);
END;
CREATE TRIGGER answer_removed AFTER DELETE ON answer
WHEN old.is_text = 1 AND old.is_unindexed = 0 BEGIN
    INSERT INTO answer_fts (answer_fts, rowid, scope, body)
    VALUES ('delete', old.id, old.scope, old.body);
END;
CREATE TRIGGER unindexed_answer_removed AFTER DELETE ON answer WHEN old.is_unindexed = 1 BEGIN
    INSERT INTO answer_fts (answer_fts, rowid, scope, body)
    SELECT 'delete', answer_id, old.scope, body FROM outdated_words WHERE answer_id = old.id;
    DELETE FROM outdated_words WHERE answer_id = old.id;
END;
