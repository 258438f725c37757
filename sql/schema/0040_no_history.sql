-- What is asked every few seconds, or by everybody, reads what is open or new, and no history.

-- Figures of what began and ended in the last minutes.
CREATE INDEX job_by_start ON job (started_ms) WHERE started_ms IS NOT NULL;
CREATE INDEX job_by_end ON job (ended_ms) WHERE ended_ms IS NOT NULL;
-- The DAGs that a member sees in Airflow: those of his jobs that are there still.
CREATE INDEX job_in_airflow ON job (user_id) WHERE dag_deleted_ms IS NULL;
-- Machines whose containers the meter may still see.
CREATE INDEX machine_by_leaving ON machine (left_ms) WHERE state = 'left';
