export { HealthModule } from './health.module.js';
export { Probes } from './probes.js';
export { Lifecycle } from './lifecycle.js';
