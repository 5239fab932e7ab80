-- One row per job folder. Everything but `note` can be made again from the folder.
CREATE TABLE job (
    id        TEXT PRIMARY KEY,
    kind      TEXT NOT NULL,
    name      TEXT NOT NULL,
    state     TEXT NOT NULL CHECK (state IN
        ('queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled', 'interrupted')),
    method    TEXT NOT NULL,
    model     TEXT NOT NULL,
    data      TEXT NOT NULL,
    spec      TEXT NOT NULL,  -- JSON object
    created   REAL NOT NULL,  -- Unix seconds, as all times
    started   REAL,
    ended     REAL,
    stage     TEXT NOT NULL,
    done      REAL NOT NULL,
    total     REAL NOT NULL,
    unit      TEXT NOT NULL,
    rate      REAL,           -- `rate_unit` per second
    rate_unit TEXT NOT NULL,
    eta_s     REAL,
    loss      REAL,
    result    TEXT NOT NULL,
    error     TEXT NOT NULL,
    message   TEXT NOT NULL,
    hint      TEXT NOT NULL,
    summary   TEXT NOT NULL,  -- JSON object
    note      TEXT NOT NULL   -- the user's own words
) STRICT;

CREATE INDEX job_by_age ON job (created, id);
