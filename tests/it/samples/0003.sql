-- Rows as version 3 wrote them. Never edited after a release.
INSERT INTO upkeep (job, slot_at, done_at, tried_at, problem, failures)
VALUES
    ('backup', 1773111600, 1773111601, 1773198000, 'the disk is full', 2),
    ('retention', 1773115200, 1773115200, NULL, NULL, 0);
UPDATE installation SET id_floor = 7;
