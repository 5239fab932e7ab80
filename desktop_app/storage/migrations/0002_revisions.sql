-- Each write of a row gets the next number, so that a reader asks only for what is new to it. The first number
-- is the time: a file that is begun anew never repeats those of the one before.
ALTER TABLE job ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;

CREATE INDEX job_by_revision ON job (revision);

CREATE TABLE revision (number INTEGER NOT NULL) STRICT;

INSERT INTO revision VALUES (CAST(strftime('%s', 'now') AS INTEGER) * 1000000);
