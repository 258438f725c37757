-- The step price: the rate that holds from the end of an interval on.

-- EIP-4844's factor * e^(numerator / denominator), in integers.
CREATE FUNCTION integer_exponential(factor numeric, numerator numeric, denominator numeric) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    term numeric := factor * denominator;
    total numeric := 0;
    i integer := 1;
BEGIN
    WHILE term > 0 LOOP
        total := total + term;
        term := div(term * numerator, denominator * i);
        i := i + 1;
    END LOOP;
    RETURN div(total, denominator);
END $$;

-- initial * e^(x / 8), within the bounds.
CREATE FUNCTION rate_of(x_micro bigint, initial bigint, lowest bigint, highest bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT least(highest, greatest(lowest, CASE WHEN x_micro >= 0
        THEN integer_exponential(initial, x_micro, 8000000)
        ELSE div(initial * 1000000000000::numeric, integer_exponential(1000000000000, -x_micro, 8000000))
        END))::bigint
$$;

-- The tick that follows from an interval's frozen demand and the tick before: also the invariant `tick`. The
-- error is scaled by the interval's length where that is under five minutes, so that many short intervals move
-- the rate no further than one long interval. At a bound the sum of errors stops as well, so that the rate
-- leaves the bound as soon as the error changes its sign.
CREATE FUNCTION next_tick(s settlement, d demand_line, before rate_tick) RETURNS rate_tick
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    tick rate_tick;
    x_before bigint := coalesce(before.x_micro, 0);
    rate_before bigint := rate_of(x_before, s.initial_rate_micro, s.rate_min_micro, s.rate_max_micro);
BEGIN
    tick.interval_id := s.interval_id;
    tick.utilisation_micro := greatest(
        CASE WHEN d.total_mib_ms > 0 THEN div(d.wanted_mib_ms * 1000000, d.total_mib_ms) ELSE 0 END,
        CASE WHEN d.total_vcore_ms > 0 THEN div(d.wanted_vcore_ms * 1000000, d.total_vcore_ms) ELSE 0 END);
    tick.error_micro := CASE WHEN d.total_mib_ms = 0 AND d.total_vcore_ms = 0 THEN 0 ELSE
        div(greatest(-1000000, least(1000000,
                div((tick.utilisation_micro - s.target_micro) * 1000000::numeric, s.target_micro)))
            * least(s.until_ms - s.from_ms, 300000), 300000) END;
    tick.x_micro := x_before + CASE
        WHEN tick.error_micro > 0 AND rate_before >= s.rate_max_micro THEN 0
        WHEN tick.error_micro < 0 AND rate_before <= s.rate_min_micro THEN 0
        ELSE tick.error_micro END;
    tick.rate_micro := rate_of(tick.x_micro, s.initial_rate_micro, s.rate_min_micro, s.rate_max_micro);
    RETURN tick;
END $$;

CREATE FUNCTION settle_price(iv bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = market, pg_temp AS $$
DECLARE
    before rate_tick;
BEGIN
    PERFORM lock_settlement();
    IF NOT step_is_due(iv, 'price') THEN
        RETURN false;
    END IF;
    SELECT * INTO before FROM rate_tick WHERE interval_id = iv - 1;
    INSERT INTO rate_tick
        SELECT (next_tick(s, d, before)).* FROM settlement s JOIN demand_line d USING (interval_id)
        WHERE s.interval_id = iv;
    INSERT INTO settlement_step VALUES (iv, 'price', now_ms());
    RETURN true;
END $$;

GRANT EXECUTE ON FUNCTION settle_price TO market_app;
