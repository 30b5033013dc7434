-- Rows as version 1 wrote them, at least one a table. Never edited after a release.
INSERT INTO installation (id, key, created_at, team_id) VALUES (1, 'a1b2c3', 1773000000, 'T1');
INSERT INTO person (id, email, name, is_rep, is_manager, is_admin, calendar, roster_zone, chat_id,
    chat_zone, standing, channel, created_at)
VALUES
    (1, 'maya@own.example', 'Maya Brandt', 1, 0, 0, 'ics:maya.ics', 'Europe/Berlin', 'U1', NULL,
        'member', 'D1', 1773000000),
    (2, 'leo@own.example', 'Leo Marsh', 0, 1, 0, NULL, NULL, 'U2', 'Europe/Berlin', 'member', NULL,
        1773000000);
INSERT INTO reporting_line (id, rep_id, manager_id, valid_from, valid_to)
VALUES (1, 1, 2, 1773000000, NULL);
INSERT INTO feed (person_id, source, etag, body, good_at, tried_at, next_at)
VALUES (1, 'ics:maya.ics', '"1"', X'424547494E', 1773000100, 1773000100, 1773000400);
INSERT INTO meeting (id, rep_id, uid, original_start, title, starts_at, ends_at, is_busy,
    is_customer, kind, account_key, account_name, guests)
VALUES (1, 1, 'acme-1', 1773147600, 'Acme demo', 1773147600, 1773150300, 1, 1, 'demo',
    'acme.example', 'Acme', 'Kim Lee');
INSERT INTO correction (rep_id, uid, kind, account_key, account_name)
VALUES (1, 'acme-1', 'demo', 'acme.example', 'Acme');
INSERT INTO debrief (id, meeting_id, rep_id, state, due_at, asks, asked_at, answered_at, outcome,
    next_step_on, channel, ts, revision)
VALUES (1, 1, 1, 'answered', 1773150600, 1, 1773150601, 1773150700, 'dated', '2026-03-20', 'D1',
    '1773150601.000100', 3);
INSERT INTO answer (id, debrief_id, rep_id, slot, question, body, is_text, version, written_at)
VALUES
    (1, 1, 1, 'ended', 'ended', 'dated', 0, 1, 1773150650),
    (2, 1, 1, 'reflect', 'nearly', 'Let them lead the last ten minutes', 1, 2, 1773150700);
INSERT INTO answer_version (answer_id, version, question, body, written_at)
VALUES (2, 1, 'nearly', 'Let them lead', 1773150690);
INSERT INTO pending_text (id, person_id, body, channel, ts, written_at, claimed_by)
VALUES (1, 1, 'Let them lead', 'D1', '1773150690.000200', 1773150690, 1);
INSERT INTO digest (manager_id, local_date, slot_at, created_at)
VALUES (2, '2026-03-16', 1773644400, 1773644400);
INSERT INTO outbox (id, delivery_key, kind, subject, seq, person_id, state, attempts, created_at,
    not_before, first_started_at, channel, ts)
VALUES (1, 'a1b2c3-prompt-1-1', 'prompt', 1, '1', 1, 'sent', 1, 1773150600, 1773150600, 1773150600,
    'D1', '1773150601.000100');
INSERT INTO inbound_seen (key, seen_at) VALUES ('ev:Ev1', 1773150650);
INSERT INTO dead_letter (id, received_at, kind, raw) VALUES (1, 1773150650, 'frame', '{');
INSERT INTO access_log (id, at, reader_id, rep_id, surface) VALUES (1, 1773150800, 2, 1, 'history');
