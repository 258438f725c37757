-- Where a job's files lie in HDFS: in its owner's home, so that one quota holds for all that is his. NULL: in a folder
-- beside the homes, /market/jobs/<job_id>, as jobs from before this column.
ALTER TABLE job ADD COLUMN folder text;
