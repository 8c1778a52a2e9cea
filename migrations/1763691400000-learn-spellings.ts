import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A stem says little of what a word looks like: `runing` is one letter away from `running`, and three from the `run`
 * that is left of it. So each word is remembered as it was written too, with its stem, and a slip is looked for among
 * those: like is compared with like.
 */
export class LearnSpellings1763691400000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE product_spellings (
        spelling text COLLATE "C" CONSTRAINT product_spellings_pkey PRIMARY KEY,
        word text COLLATE "C" NOT NULL
      )`);
    // What stands at the same place in both is the same word.
    await runner.query(`
      CREATE FUNCTION stems_of(written text) RETURNS TABLE (spelling text, word text)
      LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
      BEGIN ATOMIC
        SELECT spelled.lexeme, stems.lexeme
          FROM unnest(spellings_of(written)) AS spelled
               JOIN (
                 SELECT stem.lexeme, position
                   FROM unnest(words_of(written)) AS stem CROSS JOIN LATERAL unnest(stem.positions) AS position
               ) AS stems ON stems.position = spelled.positions[1]
         WHERE length(spelled.lexeme) <= 100;
      END`);
    await runner.query(`
      CREATE OR REPLACE FUNCTION learn_product_words() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        NEW.title_words := setweight(words_of(NEW.name), 'A') || setweight(words_of(NEW.sku), 'B');
        NEW.words := NEW.title_words || setweight(words_of(NEW.description), 'D');
        -- In one order, so that two writers of the same new words do not wait for each other in a circle.
        INSERT INTO product_words
        SELECT word FROM unnest(tsvector_to_array(NEW.words)) AS word WHERE length(word) <= 100 ORDER BY word
        ON CONFLICT DO NOTHING;
        INSERT INTO product_spellings
        SELECT spelling, word FROM stems_of(concat_ws(' ', NEW.name, NEW.sku, NEW.description)) ORDER BY spelling
        ON CONFLICT DO NOTHING;
        RETURN NEW;
      END $$`);
    // No codes: one that is nearly right is another one.
    await runner.query(`
      CREATE INDEX product_spellings_by_trigrams ON product_spellings
      USING gin (spelling gin_trgm_ops) WHERE spelling !~ '[0-9]'`);
    await runner.query(`SELECT show_limit()`);
    // One letter wrong, missing, too many or swapped with its neighbour; two in words of five letters and more.
    await runner.query(`
      CREATE OR REPLACE FUNCTION nearest_product_words(wanted text) RETURNS SETOF text
      LANGUAGE sql STABLE STRICT PARALLEL SAFE SET pg_trgm.similarity_threshold = 0.1
      BEGIN ATOMIC
        SELECT word
          FROM (
            SELECT DISTINCT ON (word) word, edits, similarity(spelling, wanted) AS likeness
              FROM product_spellings
                   CROSS JOIN LATERAL (SELECT levenshtein_less_equal(spelling, wanted, 2) AS steps) AS distance
                   CROSS JOIN LATERAL (
                     SELECT CASE WHEN steps = 2
                              AND length(spelling) = length(wanted)
                              AND string_to_array(wanted, NULL) <@ string_to_array(spelling, NULL) THEN 1
                            ELSE steps END AS edits
                   ) AS slip
             WHERE length(wanted) BETWEEN 3 AND 40
               AND spelling % wanted
               AND spelling !~ '[0-9]'
               AND length(spelling) <= 42
               AND edits <= CASE WHEN length(wanted) < 5 THEN 1 ELSE 2 END
             ORDER BY word, edits, likeness DESC
          ) AS near
         ORDER BY edits, likeness DESC, word
         LIMIT 4;
      END`);
    await runner.query(`DROP INDEX product_words_by_trigrams`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE INDEX product_words_by_trigrams ON product_words USING gin (word gin_trgm_ops) WHERE word !~ '[0-9]'`,
    );
    await runner.query(`SELECT show_limit()`);
    await runner.query(`
      CREATE OR REPLACE FUNCTION nearest_product_words(wanted text) RETURNS SETOF text
      LANGUAGE sql STABLE STRICT PARALLEL SAFE SET pg_trgm.similarity_threshold = 0.1
      BEGIN ATOMIC
        SELECT word
          FROM product_words
               CROSS JOIN LATERAL (SELECT levenshtein_less_equal(word, wanted, 2) AS edits) AS distance
               CROSS JOIN LATERAL (
                 SELECT edits = 2 AND string_to_array(wanted, NULL) <@ string_to_array(word, NULL)
                    AND length(word) = length(wanted) AS swapped
               ) AS letters
               CROSS JOIN LATERAL (
                 SELECT min(
                          CASE WHEN length(head) = length(word)
                                AND string_to_array(head, NULL) <@ string_to_array(word, NULL)
                                AND levenshtein_less_equal(word, head, 2) = 2 THEN 1
                               ELSE levenshtein_less_equal(word, head, 1) END
                        ) AS edits
                   FROM generate_series(length(word) - 1, length(word) + 1) AS size
                        CROSS JOIN LATERAL (SELECT left(wanted, size) AS head) AS heads
                  WHERE length(word) >= 4 AND length(wanted) - size BETWEEN 1 AND 4
               ) AS stem
         WHERE length(wanted) BETWEEN 3 AND 40
           AND word % wanted
           AND word !~ '[0-9]'
           AND length(word) <= 42
           AND (
             distance.edits <= CASE WHEN length(wanted) < 5 THEN 1 ELSE 2 END OR swapped OR coalesce(stem.edits <= 1, false)
           )
         ORDER BY least(CASE WHEN swapped THEN 1 ELSE distance.edits END, stem.edits), similarity(word, wanted) DESC, word
         LIMIT 4;
      END`);
    await runner.query(`
      CREATE OR REPLACE FUNCTION learn_product_words() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        NEW.title_words := setweight(words_of(NEW.name), 'A') || setweight(words_of(NEW.sku), 'B');
        NEW.words := NEW.title_words || setweight(words_of(NEW.description), 'D');
        -- In one order, so that two writers of the same new words do not wait for each other in a circle.
        INSERT INTO product_words
        SELECT word FROM unnest(tsvector_to_array(NEW.words)) AS word WHERE length(word) <= 100 ORDER BY word
        ON CONFLICT DO NOTHING;
        RETURN NEW;
      END $$`);
    await runner.query(`DROP FUNCTION stems_of`);
    await runner.query(`DROP TABLE product_spellings`);
  }
}
