-- A person may keep several calendars, and one meeting may stand in several, of several people.

CREATE TABLE feed_of_person (
    id             INTEGER PRIMARY KEY,
    person_id      INTEGER NOT NULL REFERENCES person (id),
    source         TEXT    NOT NULL,
    good_at        INTEGER,
    tried_at       INTEGER,
    problem        TEXT,
    failures       INTEGER NOT NULL DEFAULT 0,
    gone           INTEGER NOT NULL DEFAULT 0,
    is_suspect     INTEGER NOT NULL DEFAULT 0 CHECK (is_suspect IN (0, 1)),
    next_at        INTEGER NOT NULL DEFAULT 0,
    -- Its server asked not to be called before.
    patience_until INTEGER NOT NULL DEFAULT 0,
    etag           TEXT,
    last_modified  TEXT,
    -- Last, since it may be long.
    body           BLOB,
    UNIQUE (person_id, source)
) STRICT;
INSERT INTO feed_of_person (person_id, source, etag, last_modified, body, good_at, tried_at, problem,
    failures, gone, is_suspect, next_at)
SELECT person_id, source, etag, last_modified, body, good_at, tried_at, problem,
    failures, gone, is_suspect, next_at
FROM feed;
DROP TABLE feed;
ALTER TABLE feed_of_person RENAME TO feed;
CREATE INDEX feed_next ON feed (next_at);
CREATE INDEX feed_health ON feed (good_at, failures, problem, gone);

-- What a calendar says of a meeting. The uid is the calendar's own: usually the meeting's.
CREATE TABLE sighting (
    feed_id         INTEGER NOT NULL REFERENCES feed (id) ON DELETE CASCADE,
    uid             TEXT    NOT NULL,
    original_start  INTEGER NOT NULL,
    meeting_id      INTEGER NOT NULL REFERENCES meeting (id) ON DELETE CASCADE,
    starts_at       INTEGER NOT NULL,
    ends_at         INTEGER NOT NULL,
    is_cancelled    INTEGER NOT NULL CHECK (is_cancelled IN (0, 1)),
    sequence        INTEGER,
    is_customer     INTEGER NOT NULL CHECK (is_customer IN (0, 1)),
    -- When this calendar began to say so; 0 for what it said at first.
    news_at         INTEGER NOT NULL,
    -- The same while nothing changes, so that nothing need be written; 0 to have it looked at again.
    seal            INTEGER NOT NULL,
    -- The calendar shows it no longer. The row stays, so that a meeting that comes back is news.
    is_gone         INTEGER NOT NULL DEFAULT 0 CHECK (is_gone IN (0, 1)),
    -- The calendar is that of whoever called the meeting.
    is_organisers   INTEGER NOT NULL DEFAULT 0 CHECK (is_organisers IN (0, 1)),
    PRIMARY KEY (feed_id, uid, original_start)
) STRICT, WITHOUT ROWID;
CREATE INDEX sighting_meeting ON sighting (meeting_id);
CREATE INDEX sighting_end ON sighting (ends_at);
INSERT INTO sighting (feed_id, uid, original_start, meeting_id, starts_at, ends_at, is_cancelled,
    sequence, is_customer, news_at, seal)
SELECT feed.id, uid, original_start, meeting.id, starts_at, ends_at, 0, NULL, is_customer, 0, 0
FROM meeting JOIN feed ON person_id = rep_id
WHERE (is_busy = 1 OR is_customer = 1) AND uid NOT LIKE 'by-hand:%';

-- What organisers said last of their meetings, whoever's calendar told first.
CREATE TABLE gathering (
    uid             TEXT    NOT NULL,
    original_start  INTEGER NOT NULL,
    starts_at       INTEGER NOT NULL,
    ends_at         INTEGER NOT NULL,
    is_cancelled    INTEGER NOT NULL CHECK (is_cancelled IN (0, 1)),
    sequence        INTEGER,
    -- As in sighting.
    news_at         INTEGER NOT NULL,
    -- Tells organisers apart, so that a meeting of somebody else that bears the same uid is another
    -- one; 0 where calendars name none.
    organiser       INTEGER NOT NULL,
    PRIMARY KEY (uid, original_start)
) STRICT, WITHOUT ROWID;
CREATE INDEX gathering_end ON gathering (ends_at);
CREATE INDEX meeting_uid ON meeting (uid, original_start);

-- When somebody is out of office, as their calendars say.
CREATE TABLE absence (
    feed_id    INTEGER NOT NULL REFERENCES feed (id) ON DELETE CASCADE,
    starts_at  INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL,
    PRIMARY KEY (feed_id, starts_at, ends_at)
) STRICT, WITHOUT ROWID;

-- Which of somebody's texts still wait for a word on what they are about.
CREATE INDEX pending_text_person ON pending_text (person_id, id) WHERE claimed_by IS NULL;
