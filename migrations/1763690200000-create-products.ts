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
    await runner.query(`CREATE INDEX products_by_created_at ON products (created_at, id)`);
    await runner.query(`CREATE INDEX products_by_price ON products (price, id)`);
    await runner.query(`CREATE INDEX products_by_name ON products (name, id)`);
    await runner.query(`CREATE INDEX stock_adjustments_by_product ON stock_adjustments (product_id)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE stock_adjustments`);
    await runner.query(`DROP TABLE products`);
  }
}
