-- Indices for what is counted while somebody looks: the metrics, health, an administrator's Home tab.

-- A calendar's row holds its whole text; counting must not walk through that.
CREATE INDEX feed_health ON feed (good_at, failures, problem, gone);
CREATE INDEX person_unmatched ON person (email)
    WHERE is_active = 1 AND standing IN ('missing', 'gone', 'outsider');
