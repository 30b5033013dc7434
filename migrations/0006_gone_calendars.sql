-- How many readings of a calendar in a row ended with "there is no such calendar".
ALTER TABLE feed ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;
