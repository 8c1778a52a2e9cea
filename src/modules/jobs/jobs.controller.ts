import { Controller, Get, Param, type PipeTransform, Post, Query } from '@nestjs/common';
import { ApiParam, ApiTags } from '@nestjs/swagger';
import type { Page } from '../../database/paging.js';
import { CurrentUser, Requires } from '../../http/decorators.js';
import { filtersOf } from '../../http/list-query.dto.js';
import { Answers } from '../../http/openapi.js';
import type { Principal } from '../../permissions.js';
import { JobsQuery, JobView, toJob } from './jobs.dto.js';
import { JobNotFound } from './jobs.errors.js';
import { JobsService } from './jobs.service.js';

/** The id is opaque to clients, so one that can not be any job's is one that is not there. */
class JobIdPipe implements PipeTransform<string, string> {
  transform(value: string): string {
    if (!/^[1-9]\d{0,14}$/.test(value)) throw new JobNotFound();
    return value;
  }
}

@ApiTags('Jobs')
@Requires('admin')
@Controller('jobs')
export class JobsController {
  constructor(private readonly jobs: JobsService) {}

  /** List the jobs that are not done */
  @Get()
  @Answers(200, [JobView])
  async list(@Query() query: JobsQuery, @CurrentUser() user: Principal): Promise<Page<JobView>> {
    const page = await this.jobs.list(filtersOf(query), query, user.id);
    return page.map(toJob);
  }

  /** Run a job again, at once and with all its attempts before it */
  @Post(':id/retries')
  @ApiParam({ name: 'id', schema: { type: 'string' } })
  @Answers(202, JobView, { conflict: 'The job is running' })
  async retry(@Param('id', new JobIdPipe()) id: string): Promise<JobView> {
    return toJob(await this.jobs.retry(id));
  }
}
