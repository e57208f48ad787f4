CREATE TABLE workflow (
    name    TEXT NOT NULL,
    version TEXT NOT NULL,
    hash    TEXT NOT NULL PRIMARY KEY,
    graph   TEXT NOT NULL
);
CREATE TABLE run (
    id          TEXT NOT NULL PRIMARY KEY,
    workflow    TEXT NOT NULL,
    version     TEXT NOT NULL,
    hash        TEXT NOT NULL,
    status      TEXT NOT NULL,
    input       BLOB NOT NULL,
    input_apart TEXT NOT NULL,
    failure     TEXT,
    parent      TEXT,
    created_ms  BIGINT NOT NULL,
    ended_ms    BIGINT
);
CREATE INDEX run_unfinished ON run (created_ms) WHERE status = 'running';
CREATE INDEX run_created ON run (created_ms);
CREATE INDEX run_ended ON run (ended_ms);
CREATE TABLE step (
    run_id       TEXT NOT NULL,
    name         TEXT NOT NULL,
    status       TEXT NOT NULL,
    attempts     BIGINT NOT NULL,
    raised       BIGINT NOT NULL,
    crashes      BIGINT NOT NULL,
    output       BLOB,
    output_apart TEXT NOT NULL,
    failure      TEXT,
    due_ms       BIGINT,
    event        TEXT,
    started_ms   BIGINT,
    ended_ms     BIGINT,
    PRIMARY KEY (run_id, name)
);
CREATE TABLE attempt (
    run_id     TEXT NOT NULL,
    step       TEXT NOT NULL,
    number     BIGINT NOT NULL,
    pid        BIGINT,
    signal     TEXT,
    result     TEXT NOT NULL,
    error      TEXT,
    tail       TEXT,
    started_ms BIGINT NOT NULL,
    ended_ms   BIGINT NOT NULL,
    PRIMARY KEY (run_id, step, number)
);
CREATE TABLE event (
    run_id        TEXT NOT NULL,
    name          TEXT NOT NULL,
    payload       BLOB NOT NULL,
    payload_apart TEXT NOT NULL,
    PRIMARY KEY (run_id, name)
);
CREATE TABLE schedule (
    name        TEXT NOT NULL PRIMARY KEY,
    hash        TEXT NOT NULL,
    spec        TEXT NOT NULL,
    zone        TEXT NOT NULL,
    input       BLOB NOT NULL,
    input_apart TEXT NOT NULL,
    catch_up    BIGINT NOT NULL,
    next_ms     BIGINT NOT NULL
);
