import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';

/** Asks the database whether it is there. */
@Injectable()
export class DatabaseProbe {
  constructor(private readonly dataSource: DataSource) {}

  async answersWithin(milliseconds: number): Promise<boolean> {
    const answers = this.dataSource.query('SELECT 1').then(
      () => true,
      () => false,
    );
    const late = new Promise<boolean>((resolve) => setTimeout(resolve, milliseconds, false).unref());
    return Promise.race([answers, late]);
  }
}
