INSERT INTO gathering (uid, original_start, starts_at, ends_at, is_cancelled, sequence, news_at,
    organiser)
SELECT uid, original_start, starts_at, ends_at, 0, 1, 0, 7 FROM meeting LIMIT 1;
INSERT INTO absence (feed_id, starts_at, ends_at) SELECT id, 1773273600, 1773360000 FROM feed LIMIT 1;
INSERT INTO sighting (feed_id, uid, original_start, meeting_id, starts_at, ends_at, is_cancelled,
    sequence, is_customer, news_at, seal)
SELECT feed.id, 'another', original_start, meeting.id, starts_at, ends_at, 1, 2, 0, 0, 7
FROM meeting, feed LIMIT 1;
