/** What an unknown word stands for is looked for among all spellings: not for more words than people search for. */
const MOST_INEXACT = 10;
const MOST_BEGINNING = 10;

/** The SQL of a word as a tsquery writes it, which is not quite as SQL does. */
const quoted = (sql: string): string => `'''' || replace(replace(${sql}, '\\', '\\\\'), '''', '''''') || ''''`;

/** The stems of the words that begin with `wanted.spelling`. */
const BEGINNING = `SELECT DISTINCT word FROM product_spellings AS known
  WHERE known.spelling >= wanted.spelling AND known.spelling < wanted.spelling || U&'\\+10FFFF'`;

/** The words that a longer one nearly is, beside those that it stands for anyway. */
const OR_NEAR = `|| coalesce((
        SELECT string_agg(' | ' || ${quoted('word')}, '')
          FROM nearest_product_words(spelling) AS word WHERE position <= ${MOST_INEXACT} AND length(spelling) > 4
      ), '')`;

/**
 * What a search means, as `search.query`: all of its words, in any order. One that no product has stands for those that
 * begin with it, else for those that begin with its stem, if that is more than a syllable, else for those that are nearly
 * the same. Where a word is like none, nothing has them all; and an empty query finds nothing. (What a term is, is asked
 * twice: without MATERIALIZED it would also be looked up twice.)
 *
 * @param isGenerous whether longer words stand for what they nearly are in any case: a product that has them as they are
 *   may be one that the caller does not see, or does not look for
 */
export const understood = (isGenerous: boolean): string => `WITH wanted AS (
    SELECT stem.lexeme, stem.positions[1] AS position, written.lexeme AS spelling
      FROM unnest(words_of($1)) AS stem
           JOIN unnest(spellings_of($1)) AS written ON stem.positions[1] = ANY (written.positions)
  ), terms AS MATERIALIZED (
    SELECT position, CASE
        WHEN EXISTS (SELECT FROM product_words WHERE word = lexeme) THEN ${quoted('lexeme')}
        WHEN position > ${MOST_INEXACT} THEN NULL
        WHEN length(spelling) > 1 AND EXISTS (${BEGINNING}) THEN ${quoted('spelling')} || ':*' || coalesce((
          SELECT string_agg(' | ' || ${quoted('word')}, '')
            FROM (${BEGINNING} AND NOT starts_with(word, wanted.spelling) ORDER BY word LIMIT ${MOST_BEGINNING}) AS cut
        ), '')
        WHEN length(lexeme) > 3 AND EXISTS (
          SELECT FROM product_words WHERE word >= lexeme AND word < lexeme || U&'\\+10FFFF'
        ) THEN ${quoted('lexeme')} || ':*'
        ELSE (SELECT string_agg(${quoted('word')}, ' | ') FROM nearest_product_words(spelling) AS word)
      END ${isGenerous ? OR_NEAR : ''} AS term
      FROM wanted
  ), search AS MATERIALIZED (
    SELECT CASE WHEN bool_and(term IS NOT NULL)
           THEN string_agg('(' || term || ')', ' & ' ORDER BY position) ELSE '' END::tsquery AS query
      FROM terms
  )`;
