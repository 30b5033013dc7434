-- Rows as version 2 wrote them, at least one a table. Never edited after a release.
INSERT INTO person (id, email, name, is_rep, is_manager, is_admin, is_active, standing, created_at)
VALUES (3, 'erased:3', 'erased person 3', 0, 0, 0, 0, 'gone', 1773000000);
-- Row 1 comes from the log before and was chained with the first entry.
UPDATE audit
SET prev_hash = '0000000000000000000000000000000000000000000000000000000000000000',
    hash = '06090a3967a0fb33ed0dcee937b006fe328d6906cbade815e72f8f9e1deb1b6d'
WHERE id = 1;
INSERT INTO audit (id, at, actor, action, subject, scope, result, request, prev_hash, hash)
VALUES
    (2, 1773644401, 'person:2', 'digest', 1, '2026-03-16', 'done', 'a1b2c3-digest-2-2026-03-16',
        '06090a3967a0fb33ed0dcee937b006fe328d6906cbade815e72f8f9e1deb1b6d',
        '657453188d1f81627862e88f9e70034201ec5a3014725756d43ae539bcd91f0d'),
    (3, 1773644500, 'operator:root', 'erasure', 3, '', 'done', '',
        '657453188d1f81627862e88f9e70034201ec5a3014725756d43ae539bcd91f0d',
        '1cabfc1a3790feb8d2b757045994c2d114bdff7b1978b7ca968437dcd197032b');
INSERT INTO erasure_log (id, person_id, at, tombstone, lifted_at, is_clean)
VALUES (1, 3, 1773644500,
    '5cbe06a56f175f538a2b6bc9b156d0ddbcba7bcd931b1d1818fba83b0e504a9d', NULL, 1);
