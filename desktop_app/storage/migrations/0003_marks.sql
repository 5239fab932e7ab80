-- What the user says about a job beside the note: it stands in the job's folder too.
ALTER TABLE job ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';  -- JSON array of words

ALTER TABLE job ADD COLUMN is_archived INTEGER NOT NULL DEFAULT 0;
