import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateProducts1763690200000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE products (
        id uuid CONSTRAINT products_pkey PRIMARY KEY,
        sku text NOT NULL,
        name text NOT NULL,
        description text NOT NULL,
        price bigint NOT NULL,
        currency text NOT NULL,
        stock integer NOT NULL,
        status text NOT NULL,
        created_at timestamptz(3) NOT NULL,
        updated_at timestamptz(3) NOT NULL,
        version integer NOT NULL,
        sequence integer NOT NULL,
        title_words tsvector NOT NULL,
        words tsvector NOT NULL,
        CONSTRAINT products_sku_key UNIQUE (sku),
        CONSTRAINT products_price_check CHECK (price BETWEEN 0 AND 9007199254740991),
        CONSTRAINT products_stock_check CHECK (stock >= 0),
        CONSTRAINT products_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
        CONSTRAINT products_status_check CHECK (status IN ('draft', 'active', 'archived'))
      )`);
    await runner.query(`
      CREATE TABLE stock_adjustments (
        id uuid CONSTRAINT stock_adjustments_pkey PRIMARY KEY,
        product_id uuid NOT NULL,
        delta integer NOT NULL,
        reason text NOT NULL,
        created_by uuid NOT NULL,
        created_at timestamptz(3) NOT NULL,
        CONSTRAINT stock_adjustments_product_id_fkey FOREIGN KEY (product_id) REFERENCES products (id) ON DELETE CASCADE,
        CONSTRAINT stock_adjustments_created_by_fkey FOREIGN KEY (created_by) REFERENCES users (id)
      )`);
    for (const [name, key] of [
      ['created_at', 'created_at'],
      ['price', 'price'],
      ['name', 'lower(name)'],
    ]) {
      // One for those who see every product, one for those who ask for a status, as all but moderators do.
      await runner.query(`CREATE INDEX products_by_${name} ON products (${key}, id)`);
      await runner.query(`CREATE INDEX products_by_status_and_${name} ON products (status, ${key}, id)`);
    }
    await runner.query(`CREATE INDEX products_by_currency ON products (currency, created_at, id)`);
    await runner.query(`CREATE INDEX stock_adjustments_by_product ON stock_adjustments (product_id)`);
    await this.makeSearchable(runner);
  }

  /**
   * What a search looks at is kept beside each product, so that no search has to take a text apart: `title_words` are
   * those of the name and the sku, `words` those and the description's.
   */
  private async makeSearchable(runner: QueryRunner): Promise<void> {
    for (const extension of ['unaccent', 'pg_trgm', 'fuzzystrmatch']) {
      await runner.query(`CREATE EXTENSION IF NOT EXISTS ${extension}`);
    }
    // Without stop words: a product may be called "The It Bag", and a search for "the" is no mistake.
    await runner.query(`CREATE TEXT SEARCH DICTIONARY product_stems (TEMPLATE = snowball, LANGUAGE = english)`);
    await runner.query(`CREATE TEXT SEARCH CONFIGURATION product_search (COPY = simple)`);
    await runner.query(
      `ALTER TEXT SEARCH CONFIGURATION product_search ALTER MAPPING FOR asciiword, word WITH unaccent, product_stems`,
    );
    await runner.query(
      `ALTER TEXT SEARCH CONFIGURATION product_search ALTER MAPPING FOR numword WITH unaccent, simple`,
    );
    // All of ASCII that is neither letter nor digit parts words, so that PostgreSQL's parser, which has ideas of its
    // own about hyphens, hosts, addresses and numbers, takes apart what is stored and what is sought alike.
    await runner.query(`
      CREATE FUNCTION words_of(written text) RETURNS tsvector LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
      RETURN to_tsvector(
        'product_search',
        regexp_replace(normalize(written, NFKC), '[^A-Za-z0-9\\u0080-\\U0010FFFF]+', ' ', 'g')
      )`);

    // Every word that a product ever bore: what a word that none bears is taken for is found here.
    await runner.query(`CREATE TABLE product_words (word text COLLATE "C" CONSTRAINT product_words_pkey PRIMARY KEY)`);
    // No codes: one that is nearly right is another one.
    await runner.query(
      `CREATE INDEX product_words_by_trigrams ON product_words USING gin (word gin_trgm_ops) WHERE word !~ '[0-9]'`,
    );
    // Loads the extension, without which its setting is not known yet.
    await runner.query(`SELECT show_limit()`);
    // One letter wrong, missing, too many or swapped with its neighbour; two in words of five letters and more.
    await runner.query(`
      CREATE FUNCTION nearest_product_words(wanted text) RETURNS SETOF text LANGUAGE sql STABLE STRICT PARALLEL SAFE
      SET pg_trgm.similarity_threshold = 0.1
      BEGIN ATOMIC
        SELECT word
          FROM product_words
               CROSS JOIN LATERAL (SELECT levenshtein_less_equal(word, wanted, 2) AS edits) AS distance
               CROSS JOIN LATERAL (
                 SELECT edits = 2 AND string_to_array(wanted, NULL) <@ string_to_array(word, NULL)
                    AND length(word) = length(wanted) AS swapped
               ) AS letters
         WHERE length(wanted) BETWEEN 3 AND 40
           AND word % wanted
           AND word !~ '[0-9]'
           AND length(word) <= 42
           AND (edits <= CASE WHEN length(wanted) < 5 THEN 1 ELSE 2 END OR swapped)
         ORDER BY CASE WHEN swapped THEN 1 ELSE edits END, similarity(word, wanted) DESC, word
         LIMIT 4;
      END`);
    await runner.query(`
      CREATE FUNCTION learn_product_words() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        NEW.title_words := setweight(words_of(NEW.name), 'A') || setweight(words_of(NEW.sku), 'B');
        NEW.words := NEW.title_words || setweight(words_of(NEW.description), 'D');
        -- In one order, so that two writers of the same new words do not wait for each other in a circle.
        INSERT INTO product_words
        SELECT word FROM unnest(tsvector_to_array(NEW.words)) AS word WHERE length(word) <= 100 ORDER BY word
        ON CONFLICT DO NOTHING;
        RETURN NEW;
      END $$`);
    // Not when its stock changes, which is all the time.
    await runner.query(`
      CREATE TRIGGER products_learn_words BEFORE INSERT OR UPDATE OF sku, name, description ON products
      FOR EACH ROW EXECUTE FUNCTION learn_product_words()`);
    // Without a list of what is still to be indexed, which each search would have to read through.
    await runner.query(
      `CREATE INDEX products_by_title_words ON products USING gin (title_words) WITH (fastupdate = off)`,
    );
    await runner.query(`CREATE INDEX products_by_words ON products USING gin (words) WITH (fastupdate = off)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE stock_adjustments`);
    await runner.query(`DROP TABLE products`);
    await runner.query(`DROP FUNCTION learn_product_words`);
    await runner.query(`DROP FUNCTION nearest_product_words`);
    await runner.query(`DROP TABLE product_words`);
    await runner.query(`DROP FUNCTION words_of`);
    await runner.query(`DROP TEXT SEARCH CONFIGURATION product_search`);
    await runner.query(`DROP TEXT SEARCH DICTIONARY product_stems`);
    // The extensions stay: what else is in the database may have come to use them.
  }
}
