-- Rows as version 4 wrote them: only of tables that are new.
INSERT INTO learnt_rate (method, per_minute, updated_at)
VALUES ('chat.postMessage', 287.5, 1773150600);
