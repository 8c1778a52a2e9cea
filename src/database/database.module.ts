import { type DynamicModule, Global, Module } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { IdempotencyKeys } from './idempotency.js';
import { DatabaseMonitor } from './monitor.js';
import { CursorKeys, Pager } from './paging.js';
import { UnitOfWork } from './unit-of-work.js';

/** The connection that `main.ts` opened, and what repositories are built from. */
@Global()
@Module({})
export class DatabaseModule {
  static over(dataSource: DataSource, cursorKeys: CursorKeys): DynamicModule {
    return {
      module: DatabaseModule,
      providers: [
        { provide: DataSource, useValue: dataSource },
        { provide: CursorKeys, useValue: cursorKeys },
        { provide: UnitOfWork, useFactory: () => new UnitOfWork(dataSource) },
        Pager,
        DatabaseMonitor,
        IdempotencyKeys,
      ],
      exports: [DataSource, UnitOfWork, Pager, DatabaseMonitor, IdempotencyKeys],
    };
  }
}
