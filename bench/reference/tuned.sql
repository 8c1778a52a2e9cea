-- What the tuned reference lets PostgreSQL do. Made anew whenever it starts; it touches nothing else of the schema.
-- PRODUCT_JSON and USER_JSON are what tuned.mjs makes of the rows `p` and `u`.
DROP SCHEMA IF EXISTS reference CASCADE;
CREATE SCHEMA reference;

-- Looks up the key before anything is done.
CREATE FUNCTION reference.answered(p_scope text, p_key text, p_fingerprint bytea,
  OUT body text, OUT location text) LANGUAGE plpgsql AS $$
DECLARE
  v_fingerprint bytea;
BEGIN
  SELECT k.body, k.location, k.fingerprint INTO body, location, v_fingerprint FROM idempotency_keys k
   WHERE scope = p_scope AND key = p_key AND created_at > now() - interval '24 hours';
  IF FOUND AND v_fingerprint <> p_fingerprint THEN
    RAISE EXCEPTION USING ERRCODE = 'SH003';
  END IF;
END $$;

CREATE FUNCTION reference.place_order(
  p_user uuid, p_scope text, p_key text, p_fingerprint bytea, p_order uuid, p_number text, p_items uuid[],
  p_products uuid[], p_quantities integer[], p_note text, p_metadata jsonb, p_change uuid, p_event uuid, p_ttl integer,
  OUT body text, OUT location text, OUT replayed boolean) LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz(3) := clock_timestamp();
  v_shown_now text := to_char(v_now AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
  v_expires timestamptz(3) := v_now + make_interval(secs => p_ttl);
  v_count integer;
  v_currency text;
  v_last_currency text;
  v_total bigint;
  v_lines text;
BEGIN
  IF p_key IS NOT NULL THEN
    SELECT a.body, a.location INTO body, location FROM reference.answered(p_scope, p_key, p_fingerprint) a;
    IF body IS NOT NULL THEN
      replayed := true;
      RETURN;
    END IF;
  END IF;

  -- Everybody locks in the order of the ids, so that nobody waits in a circle.
  WITH wanted AS (
    SELECT * FROM unnest(p_items, p_products, p_quantities) WITH ORDINALITY AS w (item_id, product_id, quantity, position)
  ), held AS MATERIALIZED (
    SELECT p.id FROM products p WHERE p.id = ANY (p_products) ORDER BY p.id FOR NO KEY UPDATE
  ), taken AS (
    UPDATE products p SET stock = stock - quantity FROM held JOIN wanted ON product_id = held.id
     WHERE p.id = held.id AND stock >= quantity AND status = 'active'
    RETURNING item_id, position - 1 AS position, p.id AS product_id, sku, name, quantity, price, currency, price * quantity AS total
  ), placed AS (
    INSERT INTO orders (id, number, user_id, status, currency, total, note, metadata, created_at, updated_at, expires_at, version)
    SELECT p_order, p_number, p_user, 'pending', min(currency), sum(total), p_note, p_metadata, v_now, v_now, v_expires, 1
      FROM taken HAVING count(*) > 0
    RETURNING id
  ), bought AS (
    INSERT INTO order_items (id, order_id, position, product_id, sku, name, quantity, unit_price, total)
    SELECT item_id, p_order, position, product_id, sku, name, quantity, price, total FROM taken
  ), remembered AS (
    INSERT INTO order_status_changes (id, order_id, version, from_status, to_status, changed_by, created_at)
    SELECT p_change, id, 1, NULL, 'pending', p_user, v_now FROM placed
  )
  SELECT count(*), min(currency), max(currency), sum(total),
         string_agg('{"id":"' || item_id || '","productId":"' || product_id || '","sku":' || to_json(sku) || ',"name":'
           || to_json(name) || ',"quantity":' || quantity || ',"unitPrice":' || price || ',"total":' || total || '}',
           ',' ORDER BY position)
    INTO v_count, v_currency, v_last_currency, v_total, v_lines FROM taken;

  IF v_count < cardinality(p_products) THEN
    IF EXISTS (SELECT FROM unnest(p_products) AS w (id) LEFT JOIN products p USING (id) WHERE p.status IS DISTINCT FROM 'active') THEN
      RAISE EXCEPTION USING ERRCODE = 'SH002', DETAIL = 'not a product that is sold';
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'SH001', DETAIL = (
      SELECT json_agg(json_build_object('productId', p.id, 'available', stock)) FROM products p
        JOIN unnest(p_products, p_quantities) AS w (id, quantity) USING (id) WHERE stock < quantity);
  ELSIF v_currency <> v_last_currency THEN
    RAISE EXCEPTION USING ERRCODE = 'SH002', DETAIL = 'must be of one currency';
  END IF;

  location := '/orders/' || p_order;
  body := '{"id":"' || p_order || '","number":"' || p_number || '","userId":"' || p_user || '","status":"pending","currency":"'
    || v_currency || '","total":' || v_total || ',"items":[' || v_lines || '],"note":' || coalesce(to_json(p_note)::text, 'null')
    || ',"metadata":' || p_metadata || ',"createdAt":"' || v_shown_now || '","updatedAt":"' || v_shown_now || '","expiresAt":"'
    || to_char(v_expires AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '","version":1}';
  INSERT INTO events (id, type, resource_id, sequence, data, created_at, transaction_id)
  SELECT p_event, 'order.created', p_order, 1, body::jsonb, v_now, pg_current_xact_id()::text::bigint + transaction_offset
    FROM event_feed;
  IF p_key IS NOT NULL THEN
    PERFORM reference.record(p_scope, p_key, p_fingerprint, body, location);
  END IF;
END $$;

-- A key that is past its time is overwritten; one that another has used meanwhile is refused by its primary key.
CREATE FUNCTION reference.record(p_scope text, p_key text, p_fingerprint bytea, p_body text, p_location text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO idempotency_keys AS old (scope, key, fingerprint, status, location, body, created_at)
  VALUES (p_scope, p_key, p_fingerprint, 201, p_location, p_body, now())
  ON CONFLICT ON CONSTRAINT idempotency_keys_pkey DO UPDATE
     SET fingerprint = excluded.fingerprint, status = excluded.status, location = excluded.location,
         body = excluded.body, created_at = excluded.created_at
   WHERE old.created_at <= now() - interval '24 hours';
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'unique_violation', CONSTRAINT = 'idempotency_keys_pkey';
  END IF;
END $$;

CREATE FUNCTION reference.transfer(
  p_user uuid, p_scope text, p_key text, p_fingerprint bytea, p_transfer uuid, p_from uuid, p_to uuid, p_amount bigint,
  p_note text, p_taken uuid, p_given uuid, p_event uuid,
  OUT body text, OUT location text, OUT replayed boolean) LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz(3) := clock_timestamp();
  v_account accounts;
  v_from accounts;
  v_to accounts;
BEGIN
  IF p_key IS NOT NULL THEN
    SELECT a.body, a.location INTO body, location FROM reference.answered(p_scope, p_key, p_fingerprint) a;
    IF body IS NOT NULL THEN
      replayed := true;
      RETURN;
    END IF;
  END IF;

  FOR v_account IN SELECT * FROM accounts WHERE id IN (p_from, p_to) ORDER BY id FOR NO KEY UPDATE LOOP
    IF v_account.id = p_from THEN
      v_from := v_account;
    ELSE
      v_to := v_account;
    END IF;
  END LOOP;
  IF v_from.id IS NULL OR v_to.id IS NULL OR v_to.kind <> 'user' OR v_to.closed_at IS NOT NULL OR v_from.closed_at IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'SH002', DETAIL = 'is not an account';
  ELSIF v_from.user_id IS DISTINCT FROM p_user THEN
    RAISE EXCEPTION USING ERRCODE = 'SH004';
  ELSIF v_from.currency <> v_to.currency THEN
    RAISE EXCEPTION USING ERRCODE = 'SH006';
  ELSIF v_from.balance < p_amount THEN
    RAISE EXCEPTION USING ERRCODE = 'SH005';
  END IF;

  location := '/transfers/' || p_transfer;
  body := json_build_object('id', p_transfer, 'kind', 'transfer', 'fromAccountId', p_from, 'toAccountId', p_to,
    'amount', p_amount, 'currency', v_from.currency, 'note', p_note,
    'createdAt', to_char(v_now AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'));
  INSERT INTO transfers (id, kind, from_account_id, to_account_id, amount, currency, note, created_by, created_at)
  VALUES (p_transfer, 'transfer', p_from, p_to, p_amount, v_from.currency, p_note, p_user, v_now);
  INSERT INTO ledger_entries (id, transfer_id, account_id, amount, created_at)
  VALUES (p_taken, p_transfer, p_from, -p_amount, v_now), (p_given, p_transfer, p_to, p_amount, v_now);
  INSERT INTO events (id, type, resource_id, sequence, data, created_at, transaction_id)
  SELECT p_event, 'transfer.created', p_transfer, 1, body::jsonb, v_now, pg_current_xact_id()::text::bigint + transaction_offset
    FROM event_feed;
  IF p_key IS NOT NULL THEN
    PERFORM reference.record(p_scope, p_key, p_fingerprint, body, location);
  END IF;
END $$;

-- A refresh token that is not the current one: the one spent last within its grace, or one that was spent before.
CREATE FUNCTION reference.judge_refresh(p_session uuid, p_user uuid, p_hash text, p_grace integer)
RETURNS TABLE (id uuid, email text, role text, "rightsVersion" integer, shown text, "rotatedAt" timestamptz, reused boolean)
LANGUAGE plpgsql AS $$
DECLARE
  v_session sessions;
BEGIN
  SELECT * INTO v_session FROM sessions s
   WHERE s.id = p_session AND s.user_id = p_user AND s.ended_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  reused := p_hash NOT IN (v_session.refresh_hash, v_session.previous_refresh_hash)
    OR clock_timestamp() - v_session.rotated_at > make_interval(secs => p_grace);
  IF reused THEN
    UPDATE sessions s SET ended_at = now() WHERE s.id = p_session;
    INSERT INTO events (id, type, resource_id, sequence, data, created_at, transaction_id)
    SELECT gen_random_uuid(), 'session.reuse_detected', p_session, 1, jsonb_build_object('id', p_session, 'userId', p_user),
           now(), pg_current_xact_id()::text::bigint + transaction_offset FROM event_feed;
  END IF;
  RETURN QUERY
    SELECT u.id, u.email, u.role, u.rights_version,
           USER_JSON,
           v_session.rotated_at::timestamptz, reused
      FROM users u WHERE u.id = p_user AND erased_at IS NULL;
END $$;

-- The meaning of a search is Stoa's: all of the words; one that no product has stands for those that begin with it, else
-- for those that are nearly the same; few matches are ranked, of many the newest that have all words in the title come first.
CREATE FUNCTION reference.search(p_q text, p_limit integer, OUT data text) LANGUAGE plpgsql AS $$
DECLARE
  v_query tsquery;
  v_text text;
  v_missing boolean;
  v_ids uuid[];
BEGIN
  SELECT string_agg('(' || term || ')', ' & '), bool_or(term IS NULL) INTO v_text, v_missing
    FROM (SELECT lexeme FROM unnest(words_of(p_q)) ORDER BY positions[1] LIMIT 10) AS wanted,
         LATERAL (SELECT CASE
           WHEN EXISTS (SELECT FROM product_words WHERE word = lexeme) THEN quote_literal(lexeme)
           WHEN length(lexeme) > 1 AND EXISTS (SELECT FROM product_words WHERE word >= lexeme AND word < lexeme || U&'\+10FFFF')
             THEN quote_literal(lexeme) || ':*'
           ELSE (SELECT string_agg(quote_literal(near), ' | ') FROM nearest_product_words(lexeme) AS near)
         END AS term) AS terms;
  IF v_missing OR v_text IS NULL THEN
    data := '';
    RETURN;
  END IF;
  v_query := v_text::tsquery;
  v_ids := ARRAY(SELECT id FROM products WHERE words @@ v_query ORDER BY id LIMIT 1001);
  IF cardinality(v_ids) <= 1000 THEN
    SELECT string_agg(shown, ',' ORDER BY rank DESC, id DESC) INTO data FROM (
      SELECT p.id, rank, PRODUCT_JSON AS shown FROM products p, LATERAL (SELECT
          ((title_words @@ v_query)::integer * 1000000 + 400000 * (ts_rank(title_words, v_query, 1) + ts_rank(words, v_query)))::bigint AS rank) AS ranks
       WHERE p.id = ANY (v_ids) AND status = 'active' ORDER BY rank DESC, p.id DESC LIMIT p_limit) AS best;
  ELSE
    SELECT string_agg(shown, ',' ORDER BY title DESC, id DESC) INTO data FROM (
      SELECT * FROM (
        (SELECT p.id, 1 AS title, PRODUCT_JSON AS shown FROM products p
          WHERE title_words @@ v_query AND status = 'active' ORDER BY p.id DESC LIMIT p_limit)
        UNION ALL
        (SELECT p.id, 0, PRODUCT_JSON FROM products p
          WHERE words @@ v_query AND NOT title_words @@ v_query AND status = 'active' ORDER BY p.id DESC LIMIT p_limit)
      ) AS both_kinds ORDER BY title DESC, id DESC LIMIT p_limit) AS best;
  END IF;
  data := coalesce(data, '');
END $$;
