import { type DynamicModule, Global, Module } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { DatabaseMonitor } from './monitor.js';
import { CursorKey, Pager } from './paging.js';
import { UnitOfWork } from './unit-of-work.js';

/** The connection that `main.ts` opened, and what repositories are built from. */
@Global()
@Module({})
export class DatabaseModule {
  static over(dataSource: DataSource, cursorKey: CursorKey): DynamicModule {
    return {
      module: DatabaseModule,
      providers: [
        { provide: DataSource, useValue: dataSource },
        { provide: CursorKey, useValue: cursorKey },
        { provide: UnitOfWork, useFactory: () => new UnitOfWork(dataSource) },
        Pager,
        DatabaseMonitor,
      ],
      exports: [DataSource, UnitOfWork, Pager, DatabaseMonitor],
    };
  }
}
