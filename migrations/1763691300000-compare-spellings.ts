import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A word with a slip in it is often not cut down to a stem as the right one would be: `ceramicc` stays as it is, three
 * letters longer than `ceram`, and `letaher` loses what `leather` keeps. So what is compared is the word as it was written,
 * and not only with all of it but also with as much of it as a stem is long.
 */
export class CompareSpellings1763691300000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // Parts words just as `product_search` does, and leaves them whole: the same place is the same word.
    await runner.query(`CREATE TEXT SEARCH CONFIGURATION product_spelling (COPY = simple)`);
    await runner.query(
      `ALTER TEXT SEARCH CONFIGURATION product_spelling ALTER MAPPING FOR asciiword, word, numword WITH unaccent, simple`,
    );
    await runner.query(`
      CREATE FUNCTION spellings_of(written text) RETURNS tsvector LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
      RETURN to_tsvector(
        'product_spelling',
        regexp_replace(normalize(written, NFKC), '[^A-Za-z0-9\\u0080-\\U0010FFFF]+', ' ', 'g')
      )`);
    await runner.query(`SELECT show_limit()`);
    // Of the whole: one letter wrong, missing, too many or swapped with its neighbour; two in words of five letters and
    // more. Of a stem of four letters and more, held against the beginning of what is written, all but four letters at most:
    // one.
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
  }

  async down(runner: QueryRunner): Promise<void> {
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
         WHERE length(wanted) BETWEEN 3 AND 40
           AND word % wanted
           AND word !~ '[0-9]'
           AND length(word) <= 42
           AND (edits <= CASE WHEN length(wanted) < 5 THEN 1 ELSE 2 END OR swapped)
         ORDER BY CASE WHEN swapped THEN 1 ELSE edits END, similarity(word, wanted) DESC, word
         LIMIT 4;
      END`);
    await runner.query(`DROP FUNCTION spellings_of`);
    await runner.query(`DROP TEXT SEARCH CONFIGURATION product_spelling`);
  }
}
