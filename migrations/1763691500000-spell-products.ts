import type { MigrationInterface, QueryRunner } from 'typeorm';

const AT_ONCE = 1000;

/** The spellings of what was written before they were learned. In batches: whoever writes the same word waits for one. */
export class SpellProducts1763691500000 implements MigrationInterface {
  readonly transaction = false;

  async up(runner: QueryRunner): Promise<void> {
    let last: string | undefined = '00000000-0000-0000-0000-000000000000';
    while (last !== undefined) {
      const [batch] = (await runner.query(
        `WITH batch AS (
           SELECT id, concat_ws(' ', name, sku, description) AS written FROM products WHERE id > $1 ORDER BY id LIMIT $2
         ), learned AS (
           INSERT INTO product_spellings
           SELECT DISTINCT ON (spelling) spelling, word FROM batch CROSS JOIN LATERAL stems_of(written) ORDER BY spelling
           ON CONFLICT DO NOTHING
         )
         SELECT id FROM batch ORDER BY id DESC LIMIT 1`,
        [last, AT_ONCE],
      )) as { id: string }[];
      last = batch?.id;
    }
  }

  async down(): Promise<void> {
    // They go with their table.
  }
}
