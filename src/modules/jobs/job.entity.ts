import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, VirtualColumn } from 'typeorm';

/**
 * scheduled: to be run at a later time. ready: to be run as soon as a worker is free. running. failed: will be tried
 * again at `runAt`. dead: has failed for good, and only waits for somebody to look at it.
 */
export const JOB_STATES = ['scheduled', 'ready', 'running', 'failed', 'dead'] as const;
export type JobState = (typeof JOB_STATES)[number];

/** By the clock of the database, which is the one that the workers go by. */
export const stateSql = (job: string): string => `
  CASE WHEN ${job}.locked_at IS NOT NULL THEN 'running'
       WHEN ${job}.attempts >= ${job}.max_attempts THEN 'dead'
       WHEN ${job}.run_at <= now() THEN 'ready'
       WHEN ${job}.attempts = 0 THEN 'scheduled'
       ELSE 'failed' END`;

// The tables belong to graphile-worker, which makes and changes them: `synchronize: false`.

@Entity({ schema: 'graphile_worker', name: '_private_tasks', synchronize: false })
export class JobTask {
  @PrimaryColumn('integer')
  id: number;

  @Column('text')
  identifier: string;
}

@Entity({ schema: 'graphile_worker', name: '_private_job_queues', synchronize: false })
export class JobQueue {
  @PrimaryColumn('integer')
  id: number;

  @Column('text')
  queueName: string;
}

/** A job that is not done: what is done is deleted. The payload is for its handler alone and is never read here. */
@Entity({ schema: 'graphile_worker', name: '_private_jobs', synchronize: false })
export class Job {
  /** A number to PostgreSQL, an opaque text to everyone else. */
  @PrimaryColumn('bigint', { transformer: { to: (id: unknown) => id, from: (id: unknown) => String(id) } })
  id: string;

  @ManyToOne(() => JobTask)
  @JoinColumn({ name: 'task_id' })
  task: JobTask;

  @ManyToOne(() => JobQueue, { nullable: true })
  @JoinColumn({ name: 'job_queue_id' })
  namedQueue: JobQueue | null;

  @VirtualColumn({ type: 'text', query: stateSql })
  state: JobState;

  @Column('smallint')
  attempts: number;

  @Column('smallint')
  maxAttempts: number;

  @Column('text', { nullable: true })
  lastError: string | null;

  @Column('timestamp with time zone')
  runAt: Date;

  @Column('timestamp with time zone')
  createdAt: Date;

  /** Jobs without a queue of their own are in that of their task. */
  get queue(): string {
    return this.namedQueue?.queueName ?? this.task.identifier;
  }
}

/** A worker that has lately said that it is alive. One that has not for a while is gone, and its jobs are free again. */
@Entity('job_workers')
export class JobWorker {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'job_workers_pkey' })
  id: string;

  @Column('timestamp with time zone', { precision: 3 })
  seenAt: Date;
}
