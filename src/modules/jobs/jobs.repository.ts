import { Injectable } from '@nestjs/common';
import type { SelectQueryBuilder } from 'typeorm';
import { type ListDefinition, type Page, type PageRequest, Pager } from '../../database/paging.js';
import { Repository } from '../../database/repository.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { Job, type JobState, stateSql } from './job.entity.js';

export interface JobFilters {
  state?: JobState;
  queue?: string;
}

const LIST: ListDefinition<Job> = {
  name: 'jobs',
  idType: 'bigint',
  // graphile-worker keeps microseconds, and a JavaScript date does not.
  sortKeys: {
    createdAt: { sql: `date_trunc('milliseconds', job.created_at)`, type: 'timestamptz', of: (job) => job.createdAt },
    runAt: { sql: `date_trunc('milliseconds', job.run_at)`, type: 'timestamptz', of: (job) => job.runAt },
  },
  defaultSort: { by: 'createdAt', order: 'desc' },
};

/**
 * Everything that we ask graphile-worker's tables. `add_job` and `reschedule_jobs` are its promise; the tables whose
 * names begin with `_private` are not, and may differ in any release of it: this file, `job.entity.ts` and
 * `test/jobs.e2e-spec.ts` are to be looked at before its version is raised.
 */
@Injectable()
export class JobsRepository extends Repository<Job> {
  constructor(
    unitOfWork: UnitOfWork,
    private readonly pager: Pager,
  ) {
    super(unitOfWork, Job);
  }

  async add(
    task: string,
    payload: object,
    options: { maxAttempts: number; runAt?: Date; queue?: string; key?: string },
  ): Promise<void> {
    const { maxAttempts, runAt, queue, key } = options;
    await this.query(
      `SELECT FROM graphile_worker.add_job($1, $2::json, queue_name => $3, run_at => $4::timestamptz,
                                           max_attempts => $5::integer, job_key => $6)`,
      [task, JSON.stringify(payload), queue ?? null, runAt ?? null, maxAttempts, key ?? null],
    );
  }

  override async findById(id: string): Promise<Job | null> {
    return (await this.jobs()).where('job.id = :id', { id }).getOne();
  }

  async findPage(filters: JobFilters, request: PageRequest, caller: string): Promise<Page<Job>> {
    const { state, queue } = filters;
    const query = await this.jobs();
    if (state !== undefined) query.andWhere(`${stateSql('job')} = :state`, { state });
    if (queue !== undefined) query.andWhere('coalesce(queue.queue_name, task.identifier) = :queue', { queue });
    return this.pager.page(query, LIST, request, [filters, caller]);
  }

  /** Lets the job run at once and anew; `false` when there is none, or it is running. */
  async reset(id: string): Promise<boolean> {
    const jobs = await this.query(
      `SELECT FROM graphile_worker.reschedule_jobs(ARRAY[$1::bigint], run_at => now(), attempts => 0)
        WHERE locked_at IS NULL`,
      [id],
    );
    // As add_job does, so that a worker looks at once.
    if (jobs.length > 0) await this.query(`SELECT pg_notify('jobs:insert', '{"count":1}')`);
    return jobs.length > 0;
  }

  /**
   * To be said of a running job before it fails. graphile-worker sets the next attempt e^attempts seconds after the
   * `run_at` it finds: here that is moved by up to half as much, so that what failed together does not come back
   * together. A permanent failure takes all attempts that are left.
   */
  async prepareFailure(id: string, { permanent }: { permanent: boolean }): Promise<void> {
    await this.query(
      `UPDATE graphile_worker._private_jobs
          SET run_at = now() + random() / 2 * exp(least(attempts, 10)) * interval '1 second',
              attempts = CASE WHEN $2 THEN max_attempts ELSE attempts END
        WHERE id = $1`,
      [id, permanent],
    );
  }

  async discard(task: string, fields: object): Promise<void> {
    const such = `task_id = (SELECT id FROM graphile_worker._private_tasks WHERE identifier = $1)
      AND payload::jsonb @> $2::jsonb`;
    const values = [task, JSON.stringify(fields)];
    await this.query(`DELETE FROM graphile_worker._private_jobs WHERE locked_at IS NULL AND ${such}`, values);
    await this.query(`UPDATE graphile_worker._private_jobs SET payload = '{}' WHERE ${such}`, values);
  }

  /** Lets go of all that a worker holds: its jobs run again, as soon as somebody else takes them. */
  async giveBack(worker: string): Promise<void> {
    await this.query('SELECT graphile_worker.force_unlock_workers(ARRAY[$1])', [worker]);
  }

  /**
   * Takes the jobs from workers that have not been seen for so long. The attempt in which a worker was lost counts, so
   * that a job which kills its worker does not go on doing so for ever.
   *
   * @returns how many jobs are free again
   */
  async takeFromLost(silentForMs: number): Promise<number> {
    const [row] = await this.query<{ jobs: number }>(
      `WITH lost AS (
         SELECT locked_by AS id FROM graphile_worker._private_jobs WHERE locked_at < now() - $1 * interval '1 ms'
         UNION
         SELECT locked_by FROM graphile_worker._private_job_queues WHERE locked_at < now() - $1 * interval '1 ms'
         EXCEPT
         SELECT id FROM job_workers WHERE seen_at >= now() - $1 * interval '1 ms'
       ), jobs AS (
         UPDATE graphile_worker._private_jobs AS job
            SET locked_at = NULL, locked_by = NULL, last_error = 'The worker was lost'
           FROM lost WHERE job.locked_by = lost.id
         RETURNING job.id
       ), queues AS (
         UPDATE graphile_worker._private_job_queues AS queue
            SET locked_at = NULL, locked_by = NULL
           FROM lost WHERE queue.locked_by = lost.id
       ), forgotten AS (
         DELETE FROM job_workers WHERE seen_at < now() - interval '1 hour'
       )
       SELECT count(*) AS jobs, count(pg_notify('jobs:insert', '{"count":1}')) FROM jobs`,
      [silentForMs],
    );
    return row?.jobs ?? 0;
  }

  /** How many there are of each state, of the first so many that are met, and how long the oldest ready one waits. */
  async backlog(most: number): Promise<{ counts: Partial<Record<JobState, number>>; oldestReadySeconds: number }> {
    const [row] = await this.query<{ counts: Partial<Record<JobState, number>> | null; oldestReadySeconds: number }>(
      `SELECT (SELECT json_object_agg(state, jobs) FROM (
                 SELECT ${stateSql('job')} AS state, count(*) AS jobs
                   FROM (SELECT * FROM graphile_worker._private_jobs LIMIT $1) AS job GROUP BY 1
               ) AS states) AS counts,
              coalesce((SELECT extract(epoch FROM now() - run_at)::float8 FROM graphile_worker._private_jobs
                         WHERE is_available AND run_at <= now() ORDER BY priority, run_at LIMIT 1), 0
              ) AS "oldestReadySeconds"`,
      [most],
    );
    return { counts: row?.counts ?? {}, oldestReadySeconds: row?.oldestReadySeconds ?? 0 };
  }

  async deleteDead(olderThanDays: number): Promise<void> {
    await this.query(
      `DELETE FROM graphile_worker._private_jobs
        WHERE locked_at IS NULL AND attempts >= max_attempts AND run_at < now() - $1 * interval '1 day'`,
      [olderThanDays],
    );
  }

  private async jobs(): Promise<SelectQueryBuilder<Job>> {
    return (await this.manager())
      .createQueryBuilder(Job, 'job')
      .innerJoinAndSelect('job.task', 'task')
      .leftJoinAndSelect('job.namedQueue', 'queue');
  }
}
