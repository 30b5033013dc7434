-- People, their meetings, one debrief a meeting, the answers, and the queues in and out.
-- Times are unix seconds in UTC; zones are IANA names.

CREATE TABLE installation (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    -- Random, made once: part of every delivery key, so that two stores never share one.
    key          TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    team_id      TEXT
) STRICT;

CREATE TABLE person (
    id            INTEGER PRIMARY KEY,
    email         TEXT    NOT NULL UNIQUE,
    name          TEXT    NOT NULL,
    is_rep        INTEGER NOT NULL CHECK (is_rep IN (0, 1)),
    is_manager    INTEGER NOT NULL CHECK (is_manager IN (0, 1)),
    is_admin      INTEGER NOT NULL CHECK (is_admin IN (0, 1)),
    -- Off the roster: nothing is sent, history stays.
    is_active     INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
    calendar      TEXT,
    roster_zone   TEXT,
    chat_id       TEXT    UNIQUE,
    chat_zone     TEXT,
    standing      TEXT    NOT NULL DEFAULT 'unknown'
                  CHECK (standing IN ('unknown', 'member', 'gone', 'outsider', 'missing')),
    channel       TEXT,
    -- When to look this person up again.
    lookup_at     INTEGER NOT NULL DEFAULT 0,
    paused_until  INTEGER,
    -- 1 once the Home tab was opened: from then on it is kept fresh.
    has_home      INTEGER NOT NULL DEFAULT 0 CHECK (has_home IN (0, 1)),
    created_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX person_lookup ON person (lookup_at) WHERE is_active = 1;

CREATE TABLE reporting_line (
    id          INTEGER PRIMARY KEY,
    rep_id      INTEGER NOT NULL REFERENCES person (id),
    manager_id  INTEGER NOT NULL REFERENCES person (id),
    valid_from  INTEGER NOT NULL,
    valid_to    INTEGER,
    CHECK (rep_id <> manager_id),
    CHECK (valid_to IS NULL OR valid_to >= valid_from)
) STRICT;
CREATE UNIQUE INDEX reporting_line_current ON reporting_line (rep_id) WHERE valid_to IS NULL;
CREATE INDEX reporting_line_manager ON reporting_line (manager_id, valid_to);

-- The last good state of a person's calendar, and how reading it goes.
CREATE TABLE feed (
    person_id      INTEGER PRIMARY KEY REFERENCES person (id),
    source         TEXT    NOT NULL,
    etag           TEXT,
    last_modified  TEXT,
    body           BLOB,
    good_at        INTEGER,
    tried_at       INTEGER,
    problem        TEXT,
    failures       INTEGER NOT NULL DEFAULT 0,
    -- 1 if the last reading lost so many meetings that the next one must confirm it.
    is_suspect     INTEGER NOT NULL DEFAULT 0 CHECK (is_suspect IN (0, 1)),
    next_at        INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX feed_next ON feed (next_at);

CREATE TABLE meeting (
    id              INTEGER PRIMARY KEY,
    rep_id          INTEGER NOT NULL REFERENCES person (id),
    -- Identity across readings; meetings logged by hand carry a uid of ours.
    uid             TEXT    NOT NULL,
    original_start  INTEGER NOT NULL,
    title           TEXT    NOT NULL,
    starts_at       INTEGER NOT NULL,
    ends_at         INTEGER NOT NULL,
    -- 1 if it takes the rep's time: a gap must avoid it.
    is_busy         INTEGER NOT NULL CHECK (is_busy IN (0, 1)),
    is_customer     INTEGER NOT NULL CHECK (is_customer IN (0, 1)),
    kind            TEXT    NOT NULL,
    account_key     TEXT    NOT NULL,
    account_name    TEXT    NOT NULL,
    guests          TEXT    NOT NULL,
    UNIQUE (rep_id, uid, original_start)
) STRICT;
CREATE INDEX meeting_time ON meeting (rep_id, ends_at);
CREATE INDEX meeting_account ON meeting (rep_id, account_key, ends_at);

-- What a rep corrected, remembered for the whole series.
CREATE TABLE correction (
    rep_id        INTEGER NOT NULL REFERENCES person (id),
    uid           TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    account_key   TEXT    NOT NULL,
    account_name  TEXT    NOT NULL,
    PRIMARY KEY (rep_id, uid)
) STRICT, WITHOUT ROWID;

CREATE TABLE debrief (
    id           INTEGER PRIMARY KEY,
    meeting_id   INTEGER NOT NULL UNIQUE REFERENCES meeting (id),
    rep_id       INTEGER NOT NULL REFERENCES person (id),
    state        TEXT    NOT NULL CHECK (state IN ('planned', 'held', 'asked', 'answered',
                 'skipped', 'not_held', 'expired', 'withdrawn')),
    due_at       INTEGER NOT NULL,
    -- Do Not Disturb and the like; a plan never comes before it.
    not_before   INTEGER NOT NULL DEFAULT 0,
    asks         INTEGER NOT NULL DEFAULT 0,
    asked_at     INTEGER,
    remind_at    INTEGER,
    reminders    INTEGER NOT NULL DEFAULT 0,
    expires_at   INTEGER,
    answered_at  INTEGER,
    outcome      TEXT    CHECK (outcome IN ('yes', 'dated', 'nice_chat', 'no', 'didnt_happen')),
    next_step_on TEXT,
    is_rough     INTEGER NOT NULL DEFAULT 0 CHECK (is_rough IN (0, 1)),
    is_locked    INTEGER NOT NULL DEFAULT 0 CHECK (is_locked IN (0, 1)),
    -- Where the prompt stands in the messenger.
    channel      TEXT,
    ts           TEXT,
    revision     INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX debrief_due ON debrief (due_at) WHERE state = 'planned';
CREATE INDEX debrief_remind ON debrief (remind_at) WHERE state = 'asked';
CREATE INDEX debrief_expire ON debrief (expires_at) WHERE state = 'asked';
CREATE INDEX debrief_open ON debrief (rep_id, state);
CREATE INDEX debrief_history ON debrief (rep_id, answered_at DESC, id DESC)
    WHERE answered_at IS NOT NULL;
CREATE INDEX debrief_message ON debrief (channel, ts) WHERE ts IS NOT NULL;

-- One row a slot of a debrief: the current answer.
CREATE TABLE answer (
    id          INTEGER PRIMARY KEY,
    debrief_id  INTEGER NOT NULL REFERENCES debrief (id),
    rep_id      INTEGER NOT NULL REFERENCES person (id),
    slot        TEXT    NOT NULL,
    question    TEXT    NOT NULL,
    body        TEXT    NOT NULL,
    is_text     INTEGER NOT NULL CHECK (is_text IN (0, 1)),
    version     INTEGER NOT NULL,
    written_at  INTEGER NOT NULL,
    -- Searched with the words, so that nobody's search ever leaves their scope.
    scope       TEXT    NOT NULL GENERATED ALWAYS AS ('r' || rep_id) VIRTUAL,
    UNIQUE (debrief_id, slot)
) STRICT;

-- What an answer said before; for the rep alone.
CREATE TABLE answer_version (
    answer_id   INTEGER NOT NULL REFERENCES answer (id),
    version     INTEGER NOT NULL,
    question    TEXT    NOT NULL,
    body        TEXT    NOT NULL,
    written_at  INTEGER NOT NULL,
    PRIMARY KEY (answer_id, version)
) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE answer_fts USING fts5 (
    scope, body, content = 'answer', content_rowid = 'id',
    tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO answer_fts (answer_fts, rank) VALUES ('secure-delete', 1);
CREATE TRIGGER answer_added AFTER INSERT ON answer WHEN new.is_text = 1 BEGIN
    INSERT INTO answer_fts (rowid, scope, body) VALUES (new.id, new.scope, new.body);
END;
CREATE TRIGGER answer_changed AFTER UPDATE OF body ON answer WHEN new.is_text = 1 BEGIN
    INSERT INTO answer_fts (answer_fts, rowid, scope, body)
    VALUES ('delete', old.id, old.scope, old.body);
    INSERT INTO answer_fts (rowid, scope, body) VALUES (new.id, new.scope, new.body);
END;
CREATE TRIGGER answer_removed AFTER DELETE ON answer WHEN old.is_text = 1 BEGIN
    INSERT INTO answer_fts (answer_fts, rowid, scope, body)
    VALUES ('delete', old.id, old.scope, old.body);
END;

-- Text that came without saying which meeting it is about.
CREATE TABLE pending_text (
    id          INTEGER PRIMARY KEY,
    person_id   INTEGER NOT NULL REFERENCES person (id),
    body        TEXT    NOT NULL,
    channel     TEXT    NOT NULL,
    ts          TEXT    NOT NULL,
    written_at  INTEGER NOT NULL,
    claimed_by  INTEGER REFERENCES debrief (id)
) STRICT;
CREATE INDEX pending_text_place ON pending_text (channel, ts);

CREATE TABLE digest (
    manager_id  INTEGER NOT NULL REFERENCES person (id),
    -- Local date of the slot: the hour that happens twice in autumn cannot make two.
    local_date  TEXT    NOT NULL,
    slot_at     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (manager_id, local_date)
) STRICT, WITHOUT ROWID;

-- Everything that must become visible in the messenger, exactly once.
CREATE TABLE outbox (
    id                INTEGER PRIMARY KEY,
    delivery_key      TEXT    NOT NULL UNIQUE,
    kind              TEXT    NOT NULL CHECK (kind IN ('prompt', 'reminder', 'refresh', 'digest',
                      'note', 'home')),
    -- The debrief, manager or pending text it is about; with the kind and seq, its identity.
    subject           INTEGER NOT NULL,
    seq               TEXT    NOT NULL DEFAULT '',
    person_id         INTEGER NOT NULL REFERENCES person (id),
    body              TEXT    NOT NULL DEFAULT '',
    state             TEXT    NOT NULL CHECK (state IN ('queued', 'sending', 'uncertain', 'sent',
                      'failed', 'dropped')),
    attempts          INTEGER NOT NULL DEFAULT 0,
    created_at        INTEGER NOT NULL,
    not_before        INTEGER NOT NULL,
    first_started_at  INTEGER,
    channel           TEXT,
    ts                TEXT,
    problem           TEXT,
    UNIQUE (kind, subject, seq)
) STRICT;
CREATE INDEX outbox_due ON outbox (not_before, id) WHERE state IN ('queued', 'uncertain');
CREATE INDEX outbox_sending ON outbox (id) WHERE state = 'sending';
CREATE INDEX outbox_person ON outbox (person_id, created_at);
CREATE INDEX outbox_place ON outbox (channel, ts) WHERE ts IS NOT NULL;

CREATE TABLE inbound_seen (
    key      TEXT    PRIMARY KEY,
    seen_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX inbound_seen_at ON inbound_seen (seen_at);

-- Frames that could not be understood, as they came.
CREATE TABLE dead_letter (
    id           INTEGER PRIMARY KEY,
    received_at  INTEGER NOT NULL,
    kind         TEXT    NOT NULL,
    raw          TEXT    NOT NULL
) STRICT;

-- Who looked at whose debriefs.
CREATE TABLE access_log (
    id         INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    reader_id  INTEGER NOT NULL REFERENCES person (id),
    rep_id     INTEGER NOT NULL REFERENCES person (id),
    surface    TEXT    NOT NULL
) STRICT;
CREATE INDEX access_log_rep ON access_log (rep_id, at);
