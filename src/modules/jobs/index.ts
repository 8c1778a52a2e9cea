export { JobsModule } from './jobs.module.js';
export { JobsService } from './jobs.service.js';
export { describeFailure, PermanentFailure } from './failure.js';
export { JobsWorker } from './worker.js';
