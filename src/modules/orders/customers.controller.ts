import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { ApiId, CurrentUser, Id } from '../../http/decorators.js';
import { Answers } from '../../http/openapi.js';
import { Tagged } from '../../http/preconditions.js';
import type { Principal } from '../../permissions.js';
import { CustomerView, tagOfCustomer, toCustomer } from './customers.dto.js';
import { CustomersService } from './customers.service.js';

/** The user of version 2 of the API: it knows what they ordered, which the users' own module does not. */
@ApiTags('Users')
@Controller({ path: 'users', version: '2' })
export class CustomersController {
  constructor(private readonly customers: CustomersService) {}

  /** Get a user and a summary of their orders */
  @Get(':id')
  @Tagged(tagOfCustomer)
  @ApiId()
  @Answers(200, CustomerView, { operationId: 'getUserWithOrderSummary' })
  async get(@Id() id: string, @CurrentUser() user: Principal): Promise<CustomerView> {
    return toCustomer(await this.customers.get(id, user));
  }
}
