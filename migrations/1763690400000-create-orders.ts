import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateOrders1763690400000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE orders (
        id uuid CONSTRAINT orders_pkey PRIMARY KEY,
        number text NOT NULL,
        user_id uuid NOT NULL,
        status text NOT NULL,
        currency text NOT NULL,
        total bigint NOT NULL,
        note text,
        metadata jsonb NOT NULL,
        created_at timestamptz(3) NOT NULL,
        updated_at timestamptz(3) NOT NULL,
        expires_at timestamptz(3) NOT NULL,
        version integer NOT NULL,
        CONSTRAINT orders_number_key UNIQUE (number),
        CONSTRAINT orders_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id),
        CONSTRAINT orders_status_check
          CHECK (status IN ('pending', 'paid', 'shipped', 'delivered', 'cancelled', 'refunded')),
        CONSTRAINT orders_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
        CONSTRAINT orders_total_check CHECK (total BETWEEN 0 AND 9007199254740991)
      )`);
    await runner.query(`
      CREATE TRIGGER orders_user_is_living BEFORE INSERT ON orders FOR EACH ROW
      EXECUTE FUNCTION assert_user_is_living()`);
    for (const key of ['created_at', 'updated_at', 'total']) {
      await runner.query(`CREATE INDEX orders_by_${key} ON orders (${key}, id)`);
      await runner.query(`CREATE INDEX orders_by_user_and_${key} ON orders (user_id, ${key}, id)`);
    }
    // What the job that gives up unpaid orders asks, however many orders there are.
    await runner.query(`CREATE INDEX orders_to_expire ON orders (expires_at, id) WHERE status = 'pending'`);
    await runner.query(`
      CREATE TABLE order_status_changes (
        id uuid CONSTRAINT order_status_changes_pkey PRIMARY KEY,
        order_id uuid NOT NULL,
        version integer NOT NULL,
        from_status text,
        to_status text NOT NULL,
        changed_by uuid,
        reason text,
        created_at timestamptz(3) NOT NULL,
        CONSTRAINT order_status_changes_order_id_version_key UNIQUE (order_id, version),
        CONSTRAINT order_status_changes_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders (id),
        CONSTRAINT order_status_changes_changed_by_fkey FOREIGN KEY (changed_by) REFERENCES users (id)
      )`);
    await runner.query(`
      CREATE TABLE shipments (
        id uuid CONSTRAINT shipments_pkey PRIMARY KEY,
        order_id uuid NOT NULL,
        carrier text,
        tracking_number text,
        created_at timestamptz(3) NOT NULL,
        CONSTRAINT shipments_order_id_key UNIQUE (order_id),
        CONSTRAINT shipments_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders (id)
      )`);
    await runner.query(`
      CREATE TABLE order_items (
        id uuid CONSTRAINT order_items_pkey PRIMARY KEY,
        order_id uuid NOT NULL,
        position smallint NOT NULL,
        product_id uuid NOT NULL,
        sku text NOT NULL,
        name text NOT NULL,
        quantity integer NOT NULL,
        unit_price bigint NOT NULL,
        total bigint NOT NULL,
        CONSTRAINT order_items_order_id_position_key UNIQUE (order_id, position),
        CONSTRAINT order_items_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders (id),
        CONSTRAINT order_items_product_id_fkey FOREIGN KEY (product_id) REFERENCES products (id),
        CONSTRAINT order_items_quantity_check CHECK (quantity > 0),
        CONSTRAINT order_items_total_check CHECK (total = unit_price * quantity)
      )`);
    await runner.query(`CREATE INDEX order_items_by_product ON order_items (product_id)`);
    await runner.query(`
      CREATE TABLE payments (
        id uuid CONSTRAINT payments_pkey PRIMARY KEY,
        order_id uuid NOT NULL,
        transfer_id uuid NOT NULL,
        amount bigint NOT NULL,
        currency text NOT NULL,
        created_at timestamptz(3) NOT NULL,
        CONSTRAINT payments_transfer_id_key UNIQUE (transfer_id),
        CONSTRAINT payments_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders (id),
        CONSTRAINT payments_transfer_id_fkey FOREIGN KEY (transfer_id) REFERENCES transfers (id)
      )`);
    await runner.query(`CREATE INDEX payments_by_order ON payments (order_id, id)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE payments`);
    await runner.query(`DROP TABLE order_items`);
    await runner.query(`DROP TABLE shipments`);
    await runner.query(`DROP TABLE order_status_changes`);
    await runner.query(`DROP TABLE orders`);
  }
}
