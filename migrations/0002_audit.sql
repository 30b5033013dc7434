-- Who looked at what, who changed what: append-only and chained by hashes; and who was erased.

CREATE TABLE audit (
    -- 1, 2, 3, …: a number that is missing was removed.
    id         INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    -- `person:2`, `chat:U1` for somebody off the roster, `operator:root`, `roster`.
    actor      TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    subject    INTEGER REFERENCES person (id),
    scope      TEXT    NOT NULL,
    result     TEXT    NOT NULL CHECK (result IN ('done', 'refused')),
    request    TEXT    NOT NULL,
    -- Hexadecimal SHA-256. Rows taken over from the log before are chained right after this
    -- migration; from then on every row is.
    prev_hash  TEXT    CHECK (length(prev_hash) = 64),
    hash       TEXT    CHECK (length(hash) = 64),
    CHECK ((hash IS NULL) = (prev_hash IS NULL))
) STRICT;
CREATE INDEX audit_subject ON audit (subject, id);
INSERT INTO audit (id, at, actor, action, subject, scope, result, request)
SELECT row_number() OVER (ORDER BY id), at, 'person:' || reader_id, surface, rep_id, '', 'done', ''
FROM access_log
ORDER BY id;
DROP TABLE access_log;
CREATE TRIGGER audit_grows BEFORE INSERT ON audit
WHEN new.hash IS NULL OR new.id IS NOT (SELECT coalesce(max(id), 0) + 1 FROM audit) BEGIN
    SELECT raise(ABORT, 'the audit log only grows, row by row');
END;
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit
WHEN old.hash IS NOT NULL OR new.id <> old.id OR new.at <> old.at OR new.actor <> old.actor
    OR new.action <> old.action OR new.subject IS NOT old.subject OR new.scope <> old.scope
    OR new.result <> old.result OR new.request <> old.request BEGIN
    SELECT raise(ABORT, 'the audit log is never changed');
END;
CREATE TRIGGER audit_kept BEFORE DELETE ON audit BEGIN
    SELECT raise(ABORT, 'nothing is ever removed from the audit log');
END;

-- Who was erased, so that neither the roster nor a backup brings them back.
CREATE TABLE erasure_log (
    id         INTEGER PRIMARY KEY,
    -- The row of the person, which holds nothing about them any more; NULL where the erasure was
    -- replayed into a store that had never known them.
    person_id  INTEGER REFERENCES person (id),
    at         INTEGER NOT NULL,
    -- SHA-256 over a salt and the address; says who it was only to somebody who knows the address.
    tombstone  TEXT    NOT NULL CHECK (length(tombstone) = 64),
    -- Until then the roster cannot bring them back.
    lifted_at  INTEGER,
    -- 1 once the bytes that it had freed were overwritten.
    is_clean   INTEGER NOT NULL DEFAULT 0 CHECK (is_clean IN (0, 1)),
    UNIQUE (tombstone, at)
) STRICT;
