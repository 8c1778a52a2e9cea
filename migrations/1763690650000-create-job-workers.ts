import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateJobWorkers1763690650000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE job_workers (
        id text CONSTRAINT job_workers_pkey PRIMARY KEY,
        seen_at timestamptz(3) NOT NULL
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE job_workers`);
  }
}
