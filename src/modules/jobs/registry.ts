import { Injectable } from '@nestjs/common';

/** With the waits between them, e seconds after the first and e times longer each, three and a half hours or more. */
export const DEFAULT_ATTEMPTS = 10;

/** Which try this is, the first being 1, and how many there are at most. */
export interface JobAttempt {
  attempt: number;
  maxAttempts: number;
}

/**
 * Does one job. What it throws makes the job fail: it is tried again later, unless that was its last attempt or it threw
 * a `PermanentFailure`. It may run more than once for one job, so it has to be safe to repeat.
 */
export type JobHandler<P extends object = object> = (payload: P, attempt: JobAttempt) => Promise<void>;

export interface Schedule {
  name: string;
  cron: string;
}

export interface Repeat {
  name: string;
  everyMs: number;
  work: () => Promise<void>;
}

/** What can be worked, as the modules have said it before anything is. */
@Injectable()
export class Registry {
  readonly handlers = new Map<string, JobHandler>();
  readonly schedules: Schedule[] = [];
  readonly repeats: Repeat[] = [];

  addHandler(task: string, handler: JobHandler): void {
    if (this.handlers.has(task)) throw new Error(`Two handlers for the jobs named ${task}`);
    this.handlers.set(task, handler);
  }
}
