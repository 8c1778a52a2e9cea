import { ApiProperty } from '@nestjs/swagger';
import { IsIn } from 'class-validator';
import { Optional } from '../../http/fields.js';
import { ListQuery } from '../../http/list-query.dto.js';
import type { Event } from './event.entity.js';
import { EVENT_TYPES, type EventType } from './event-types.js';

export class EventsQuery extends ListQuery {
  @Optional()
  @IsIn(EVENT_TYPES)
  type?: EventType;

  /** The order in which it was written; the oldest first unless `sortOrder` says otherwise */
  @Optional()
  @IsIn(['createdAt'])
  sortBy?: 'createdAt';
}

export class EventView {
  @ApiProperty({ format: 'uuid' })
  id: string;

  @ApiProperty({ enum: EVENT_TYPES })
  type: EventType;

  @ApiProperty({ format: 'uuid' })
  resourceId: string;

  /** Rises with every event of the resource, and no two of them share it */
  @ApiProperty({ type: 'integer' })
  sequence: number;

  /** The resource as the API showed it then */
  @ApiProperty({ type: 'object', additionalProperties: true })
  data: object;

  createdAt: Date;
}

export function toEvent({ id, type, resourceId, sequence, data, createdAt }: Event): EventView {
  return { id, type, resourceId, sequence, data, createdAt };
}
