export { JobsModule } from './jobs.module.js';
export { type EnqueueOptions, JobsService } from './jobs.service.js';
export { PermanentFailure } from './failure.js';
export type { JobAttempt, JobHandler } from './registry.js';
export { JobsWorker } from './worker.js';
