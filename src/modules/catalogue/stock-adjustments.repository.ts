import { Injectable } from '@nestjs/common';
import { Repository } from '../../database/repository.js';
import { UnitOfWork } from '../../database/unit-of-work.js';
import { StockAdjustment } from './stock-adjustment.entity.js';

@Injectable()
export class StockAdjustmentsRepository extends Repository<StockAdjustment> {
  constructor(unitOfWork: UnitOfWork) {
    super(unitOfWork, StockAdjustment);
  }
}
