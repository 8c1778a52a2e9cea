import { Injectable } from '@nestjs/common';
import { Repository } from '../../database/repository.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { Event } from './event.entity.js';

@Injectable()
export class EventsRepository extends Repository<Event> {
  constructor(unitOfWork: UnitOfWork) {
    super(unitOfWork, Event);
  }

  /** Plain SQL: TypeORM would ask for the generated columns back, which nobody reads here. */
  async append(event: Pick<Event, 'id' | 'type' | 'resourceId' | 'sequence' | 'data' | 'createdAt'>): Promise<void> {
    await this.query(
      `INSERT INTO events (id, type, resource_id, sequence, data, created_at, transaction_id)
       VALUES ($1, $2, $3, $4, $5, $6, pg_current_xact_id()::text::bigint)`,
      [event.id, event.type, event.resourceId, event.sequence, JSON.stringify(event.data), event.createdAt],
    );
  }

  /** Many at once, in one statement and in this order. */
  async appendAll(
    events: readonly Pick<Event, 'id' | 'type' | 'resourceId' | 'sequence' | 'data' | 'createdAt'>[],
  ): Promise<void> {
    if (events.length === 0) return;
    await this.query(
      `INSERT INTO events (id, type, resource_id, sequence, data, created_at, transaction_id)
       SELECT id, type, "resourceId", sequence, data, "createdAt", pg_current_xact_id()::text::bigint
       FROM jsonb_to_recordset($1) AS given
         (id uuid, type text, "resourceId" uuid, sequence integer, data jsonb, "createdAt" timestamptz)`,
      [JSON.stringify(events)],
    );
  }

  /** The one change that an event ever sees. */
  async overwrite(resourceId: string, types: readonly string[], fields: object): Promise<void> {
    await this.query('UPDATE events SET data = data || $3 WHERE resource_id = $1 AND type = ANY ($2)', [
      resourceId,
      types,
      JSON.stringify(fields),
    ]);
  }
}
