import { Body, Controller, Delete, Get, Patch, Post, Put, Query, Version } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Page } from '../../database/paging.js';
import { Created } from '../../http/created.js';
import { ApiId, CurrentUser, Id, Requires } from '../../http/decorators.js';
import { filtersOf } from '../../http/list-query.dto.js';
import { Answers } from '../../http/openapi.js';
import { IfMatch, Tagged } from '../../http/preconditions.js';
import { SucceededBy } from '../../http/versions.js';
import type { Principal } from '../../permissions.js';
import type { VersionCheck } from '../../stale-version.js';
import { CreateUserDto, ReplaceUserDto, tagOfUser, toUser, UpdateUserDto, UsersQuery, UserView } from './users.dto.js';
import { UsersService } from './users.service.js';

@ApiTags('Users')
@Controller('users')
export class UsersController {
  constructor(private readonly users: UsersService) {}

  /** List users */
  @Get()
  @Requires('read')
  @Answers(200, [UserView])
  async list(@Query() query: UsersQuery, @CurrentUser() user: Principal): Promise<Page<UserView>> {
    const page = await this.users.list(filtersOf(query), query, user);
    return page.map(toUser);
  }

  /** Create a user */
  @Post()
  @Requires('admin')
  @Tagged(tagOfUser)
  @Answers(201, UserView, { fails: ['EMAIL_TAKEN'], conflict: 'The user has been erased since' })
  async create(@Body() body: CreateUserDto): Promise<Created<UserView>> {
    const user = await this.users.create(body);
    return new Created(`/users/${user.id}`, toUser(user)).about(user.id);
  }

  /** Get yourself */
  @Get('me')
  @Tagged(tagOfUser)
  @Answers(200, UserView)
  async me(@CurrentUser() user: Principal): Promise<UserView> {
    return toUser(await this.users.get(user.id, user));
  }

  /** Get a user */
  @Get(':id')
  @Version('1')
  @SucceededBy('2', '2026-11-21')
  @ApiId()
  @Tagged(tagOfUser)
  @Answers(200, UserView)
  async get(@Id() id: string, @CurrentUser() user: Principal): Promise<UserView> {
    return toUser(await this.users.get(id, user));
  }

  /** Replace a user's email and name */
  @Put(':id')
  @ApiId()
  @Tagged(tagOfUser)
  @Answers(200, UserView, { conflict: 'This is the last admin', fails: ['INVALID_CREDENTIALS', 'EMAIL_TAKEN'] })
  async replace(
    @Id() id: string,
    @Body() body: ReplaceUserDto,
    @CurrentUser() user: Principal,
    @IfMatch() check: VersionCheck,
  ): Promise<UserView> {
    return toUser(await this.users.update(id, body, user, check));
  }

  /** Change a user */
  @Patch(':id')
  @ApiId()
  @Tagged(tagOfUser)
  @Answers(200, UserView, { conflict: 'This is the last admin', fails: ['INVALID_CREDENTIALS', 'EMAIL_TAKEN'] })
  async update(
    @Id() id: string,
    @Body() body: UpdateUserDto,
    @CurrentUser() user: Principal,
    @IfMatch() check: VersionCheck,
  ): Promise<UserView> {
    return toUser(await this.users.update(id, body, user, check));
  }

  /** Erase a user */
  @Delete(':id')
  @ApiId()
  @Answers(204, null, { conflict: 'They hold money, wait for a paid order, or are the last admin' })
  async delete(@Id() id: string, @CurrentUser() user: Principal, @IfMatch() check: VersionCheck): Promise<void> {
    await this.users.delete(id, user, check);
  }
}
