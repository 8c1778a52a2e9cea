import { Controller, Get, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Page } from '../../database/paging.js';
import { CurrentUser, Requires } from '../../http/decorators.js';
import { filtersOf } from '../../http/list-query.dto.js';
import { Answers } from '../../http/openapi.js';
import type { Principal } from '../../permissions.js';
import { EventsQuery, EventView, toEvent } from './events.dto.js';
import { EventsService } from './events.service.js';

@ApiTags('Events')
@Controller('events')
export class EventsController {
  constructor(private readonly events: EventsService) {}

  /** Follow what happens: `nextCursor` is always given, ask again with it for what came since */
  @Get()
  @Requires('admin')
  @Answers(200, [EventView])
  async list(@Query() query: EventsQuery, @CurrentUser() user: Principal): Promise<Page<EventView>> {
    const page = await this.events.list(filtersOf(query), query, user.id);
    return page.map(toEvent);
  }
}
