import { Controller, Get, Res, VERSION_NEUTRAL } from '@nestjs/common';
import { ApiResponse, ApiTags } from '@nestjs/swagger';
import { SkipThrottle } from '@nestjs/throttler';
import { Bare, Public } from '../../http/decorators.js';
import type { Reply } from '../../http/request.js';
import { type Health, Probes } from './probes.js';

const healthOf = (statuses: Health['status'][], checks: Health['checks']) => ({
  type: 'object',
  required: ['status', 'checks'],
  properties: {
    status: { type: 'string', enum: statuses },
    checks: { type: 'object', additionalProperties: { type: 'string' }, example: checks },
  },
});
const UP = { database: 'connected', cache: 'connected', disk: 'sufficient' };
const HEALTHY = { status: 200, description: 'It is', schema: healthOf(['healthy', 'degraded'], UP) };
const DOWN = { ...UP, database: 'disconnected' };
const UNHEALTHY = { status: 503, description: 'It is not', schema: healthOf(['unhealthy'], DOWN) };

/** For load balancers and Kubernetes: no envelope, no login, no limit. */
@ApiTags('Operations')
@Bare()
@Public({ ignoresToken: true })
@SkipThrottle({ requests: true })
@Controller({ path: 'health', version: VERSION_NEUTRAL })
export class HealthController {
  constructor(private readonly probes: Probes) {}

  /** Tell whether everything that Stoa needs is there */
  @Get()
  @ApiResponse(HEALTHY)
  @ApiResponse(UNHEALTHY)
  async get(@Res({ passthrough: true }) reply: Reply): Promise<Health> {
    return tell(await this.probes.whole(), reply);
  }

  /** Tell whether the process can answer at all, whatever else is going on */
  @Get('live')
  @ApiResponse({ ...HEALTHY, schema: healthOf(['healthy'], {}) })
  live(): Promise<Health> {
    return this.probes.live();
  }

  /** Tell whether requests should be sent here now */
  @Get('ready')
  @ApiResponse(HEALTHY)
  @ApiResponse(UNHEALTHY)
  async ready(@Res({ passthrough: true }) reply: Reply): Promise<Health> {
    return tell(await this.probes.ready(), reply);
  }
}

function tell(health: Health, reply: Reply): Health {
  if (health.status === 'unhealthy') void reply.status(503).header('Retry-After', 1);
  return health;
}
