-- Rows as version 8 wrote them: an answer that was changed and is not in the index as it is now.
UPDATE answer SET body = body || ' and listen', version = version + 1, is_unindexed = 1
WHERE id = (SELECT min(id) FROM answer WHERE is_text = 1);
