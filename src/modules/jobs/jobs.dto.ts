import { IsIn } from 'class-validator';
import { ApiProperty } from '@nestjs/swagger';
import { Optional, QueryText } from '../../http/fields.js';
import { ListQuery } from '../../http/list-query.dto.js';
import { type Job, JOB_STATES, type JobState } from './job.entity.js';

export class JobsQuery extends ListQuery {
  /**
   * `scheduled` for a later time, `ready` for the next free worker, `running`, `failed` and to be tried again, or `dead`:
   * failed for good
   */
  @Optional()
  @IsIn(JOB_STATES)
  state?: JobState;

  /** Jobs without a queue of their own are in the one that is named as their task */
  @Optional()
  @QueryText(128)
  queue?: string;

  @Optional()
  @IsIn(['createdAt', 'runAt'])
  sortBy?: 'createdAt' | 'runAt';
}

export class JobView {
  /**
   * Opaque
   * @example 4711
   */
  id: string;
  /**
   * The name of the task where the job is in no queue of its own
   * @example mail.send
   */
  queue: string;
  @ApiProperty({ enum: JOB_STATES })
  state: JobState;
  @ApiProperty({ type: 'integer' })
  attempts: number;
  @ApiProperty({ type: 'integer' })
  maxAttempts: number;
  /** Why the last attempt failed; nothing of what the job is about */
  lastError: string | null;
  /** When it is, or was, due: where it failed, the next attempt */
  runAt: Date;
  createdAt: Date;
}

export function toJob(job: Job): JobView {
  return {
    id: job.id,
    queue: job.queue,
    state: job.state,
    attempts: job.attempts,
    maxAttempts: job.maxAttempts,
    lastError: job.lastError,
    runAt: job.runAt,
    createdAt: job.createdAt,
  };
}
