-- What a job leaves behind: listed once after its end, deleted later; the lists themselves stay.

ALTER TABLE job
    ADD COLUMN results_ms      bigint,   -- when its result files were listed in result_file
    ADD COLUMN logs_ms         bigint,   -- when its log files were listed in log_file
    ADD COLUMN discarded_ms    bigint,   -- when its folder in HDFS was deleted because of its age
    ADD COLUMN dag_deleted_ms  bigint;   -- when its rows in Airflow were deleted because of their age

-- Housekeeping asks every few seconds what there is to do: each index holds only what is left.
CREATE INDEX job_to_list ON job (ended_ms)
    WHERE ended_ms IS NOT NULL AND (results_ms IS NULL OR logs_ms IS NULL);
CREATE INDEX job_to_discard ON job (ended_ms) WHERE ended_ms IS NOT NULL AND discarded_ms IS NULL;
CREATE INDEX job_to_forget ON job (ended_ms) WHERE withdrawn AND dag_deleted_ms IS NULL;

CREATE TABLE result_file (
    job_id       hex_id NOT NULL REFERENCES job,
    path         text NOT NULL,              -- relative to the job's output folder
    size         bigint NOT NULL CHECK (size >= 0),
    modified_ms  bigint NOT NULL,
    sha256       text,                       -- NULL: not computed yet; empty: the file could not be read
    PRIMARY KEY (job_id, path)
);
CREATE INDEX result_file_unread ON result_file (size) WHERE sha256 IS NULL;

CREATE TABLE log_file (
    job_id        hex_id NOT NULL REFERENCES job,
    place         integer NOT NULL,          -- in the list: the driver's files first
    container_id  text NOT NULL,
    role          text NOT NULL,
    host          text NOT NULL,             -- the machine's display name, never an address
    file          text NOT NULL,
    size          bigint NOT NULL CHECK (size >= 0),
    point         integer,                   -- of a sweep
    PRIMARY KEY (job_id, place)
);

GRANT SELECT, INSERT, UPDATE ON result_file TO market_app;
GRANT SELECT, INSERT ON log_file TO market_app;
