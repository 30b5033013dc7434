INSERT INTO dead_letter (id, received_at, kind, raw, state, tried_at)
VALUES (2, 1773150660, 'view_submission', '{}', 'unreadable', 1773150700);
UPDATE installation SET heard_until = 1773150700;
