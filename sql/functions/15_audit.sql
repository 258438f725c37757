-- The audit's one way in.

-- Add a line; tell whether it was added. With `once` there is one of a kind and subject at most. What strangers can
-- cause is bounded: of `most` lines of a kind in a minute the last says that there is more.
CREATE FUNCTION audit_write(kind text, actor text, subject text, detail text, once boolean, most integer)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    at_ms bigint := now_ms();
    recent bigint;
BEGIN
    IF once AND EXISTS (SELECT FROM audit a WHERE a.kind = kind AND a.subject = subject) THEN
        RETURN false;
    END IF;
    IF most IS NOT NULL THEN
        SELECT count(*) INTO recent
            FROM (SELECT FROM audit a WHERE a.kind = kind AND a.at_ms > at_ms - 60000 LIMIT most) last_minute;
        IF recent >= most THEN
            RETURN false;
        ELSIF recent = most - 1 THEN
            actor := 'market';
            subject := 'more';
            detail := 'There is more of this kind than is listed for this minute.';
        END IF;
    END IF;
    INSERT INTO audit (at_ms, kind, actor, subject, detail) VALUES (at_ms, kind, actor, subject, detail);
    RETURN recent IS NULL OR recent < most - 1;
END $$;

GRANT EXECUTE ON FUNCTION audit_write TO market_app;
