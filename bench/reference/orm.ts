// What most shops on Nest look like: passport and a token that is verified with a secret that is a string (as passport-jwt
// does it), TypeORM entities with relations, `findOne` and `save()`. On Fastify, though most of them run on Express.
import 'reflect-metadata';
import { randomBytes, randomUUID } from 'node:crypto';
import {
  Body,
  ConflictException,
  Controller,
  ForbiddenException,
  Get,
  Headers,
  Inject,
  Injectable,
  Module,
  NotFoundException,
  Param,
  ParseUUIDPipe,
  Post,
  Req,
  UseGuards,
  ValidationPipe,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { JwtService } from '@nestjs/jwt';
import { AuthGuard, PassportModule, PassportStrategy } from '@nestjs/passport';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsInt,
  IsOptional,
  IsUUID,
  Max,
  Min,
  ValidateNested,
} from 'class-validator';
import { Strategy } from 'passport';
import {
  Column,
  DataSource,
  Entity,
  In,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type Relation,
} from 'typeorm';
import { v7 as uuid } from 'uuid';
import { SnakeCase } from '../../src/database/naming.js';

const number = { from: Number, to: (value: number) => value };

@Entity('products')
class Product {
  @PrimaryColumn('uuid')
  id: string;

  @Column('text')
  sku: string;

  @Column('text')
  name: string;

  @Column('bigint', { transformer: number })
  price: number;

  @Column('text')
  currency: string;

  @Column('integer')
  stock: number;

  @Column('text')
  status: string;
}

@Entity('orders')
class Order {
  @PrimaryColumn('uuid')
  id: string;

  @Column('text')
  number: string;

  @Column('uuid')
  userId: string;

  @Column('text')
  status: string;

  @Column('text')
  currency: string;

  @Column('bigint', { transformer: number })
  total: number;

  @OneToMany(() => OrderItem, (item) => item.order, { cascade: true })
  items: Relation<OrderItem[]>;

  @Column('text', { nullable: true })
  note: string | null;

  @Column('jsonb')
  metadata: object;

  @Column('timestamptz')
  createdAt: Date;

  @Column('timestamptz')
  updatedAt: Date;

  @Column('timestamptz')
  expiresAt: Date;

  @Column('integer')
  version: number;
}

@Entity('order_items')
class OrderItem {
  @PrimaryColumn('uuid')
  id: string;

  @ManyToOne(() => Order, (order) => order.items)
  @JoinColumn({ name: 'order_id' })
  order: Relation<Order>;

  @Column('smallint')
  position: number;

  @Column('uuid')
  productId: string;

  @Column('text')
  sku: string;

  @Column('text')
  name: string;

  @Column('integer')
  quantity: number;

  @Column('bigint', { transformer: number })
  unitPrice: number;

  @Column('bigint', { transformer: number })
  total: number;
}

@Entity('order_status_changes')
class StatusChange {
  @PrimaryColumn('uuid')
  id: string;

  @Column('uuid')
  orderId: string;

  @Column('integer')
  version: number;

  @Column('text')
  toStatus: string;

  @Column('uuid')
  changedBy: string;

  @Column('timestamptz')
  createdAt: Date;
}

@Entity('events')
class Event {
  @PrimaryColumn('uuid')
  id: string;

  @Column('text')
  type: string;

  @Column('uuid')
  resourceId: string;

  @Column('integer')
  sequence: number;

  @Column('jsonb')
  data: object;

  @Column('timestamptz')
  createdAt: Date;

  @Column('bigint')
  transactionId: string;
}

@Entity('idempotency_keys')
class IdempotencyKey {
  @PrimaryColumn('text')
  scope: string;

  @PrimaryColumn('text')
  key: string;

  @Column('bytea')
  fingerprint: Buffer;

  @Column('smallint')
  status: number;

  @Column('text')
  body: string;

  @Column('timestamptz')
  createdAt: Date;
}

class Item {
  @IsUUID()
  productId: string;

  @IsInt()
  @Min(1)
  @Max(10_000)
  quantity: number;
}

class PlaceOrder {
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(100)
  @ValidateNested({ each: true })
  @Type(() => Item)
  items: Item[];

  @IsOptional()
  note?: string;

  @IsOptional()
  metadata?: object;
}

interface WithUser {
  headers: { authorization?: string };
  user: { sub: string };
}

class Bearer extends Strategy {
  override name = 'jwt';

  constructor(private readonly verify: (token: string, done: (error: unknown, user?: object) => void) => void) {
    super();
  }

  override authenticate(request: unknown): void {
    const token = (request as WithUser).headers.authorization?.slice('Bearer '.length) ?? '';
    this.verify(token, (error, user) => {
      if (user === undefined || error) this.fail(401);
      else this.success(user);
    });
  }
}

@Injectable()
class JwtStrategy extends PassportStrategy(Bearer, 'jwt') {
  constructor(@Inject(JwtService) private readonly jwt: JwtService) {
    super();
  }

  validate(token: string): Promise<object> {
    return this.jwt.verifyAsync(token, { algorithms: ['HS256'], issuer: 'stoa', audience: 'stoa' });
  }
}

@Controller('api/v1/orders')
@UseGuards(AuthGuard('jwt'))
class OrdersController {
  constructor(@Inject(DataSource) private readonly dataSource: DataSource) {}

  @Get(':id')
  async get(@Param('id', ParseUUIDPipe) id: string, @Req() { user }: WithUser): Promise<object> {
    const order = await this.dataSource.getRepository(Order).findOne({ where: { id }, relations: { items: true } });
    if (order === null) throw new NotFoundException();
    if (order.userId !== user.sub) throw new ForbiddenException();
    return { success: true, data: order };
  }

  @Post()
  place(
    @Body() { items, note, metadata }: PlaceOrder,
    @Req() { user }: WithUser,
    @Headers('idempotency-key') key = randomUUID() as string,
  ): Promise<object> {
    return this.dataSource.transaction(async (manager) => {
      const scope = `user:${user.sub}`;
      const known = await manager.findOneBy(IdempotencyKey, { scope, key });
      if (known !== null) return { success: true, data: JSON.parse(known.body) as object };
      const products = await manager.find(Product, {
        where: { id: In(items.map(({ productId }) => productId)), status: 'active' },
        order: { id: 'ASC' },
        lock: { mode: 'for_no_key_update' },
      });
      const now = new Date();
      const lines = items.map(({ productId, quantity }, position) => {
        const product = products.find(({ id }) => id === productId);
        if (product === undefined) throw new NotFoundException();
        if (product.stock < quantity) throw new ConflictException('INSUFFICIENT_STOCK');
        product.stock -= quantity;
        const { sku, name, price: unitPrice } = product;
        return manager.create(OrderItem, {
          id: uuid(),
          position,
          productId,
          sku,
          name,
          quantity,
          unitPrice,
          total: unitPrice * quantity,
        });
      });
      await manager.save(products);
      const order = await manager.save(
        manager.create(Order, {
          id: uuid(),
          number: randomBytes(6).toString('hex').toUpperCase(),
          userId: user.sub,
          status: 'pending',
          currency: products[0]?.currency ?? '',
          total: lines.reduce((sum, { total }) => sum + total, 0),
          items: lines,
          note: note ?? null,
          metadata: metadata ?? {},
          createdAt: now,
          updatedAt: now,
          expiresAt: new Date(now.getTime() + 604_800_000),
          version: 1,
        }),
      );
      await manager.save(
        manager.create(StatusChange, {
          id: uuid(),
          orderId: order.id,
          version: 1,
          toStatus: 'pending',
          changedBy: user.sub,
          createdAt: now,
        }),
      );
      const data = Object.assign({}, order, { items: lines.map(({ order: _, ...line }) => line) });
      const [{ id: transactionId }] = await manager.query<[{ id: string }]>('SELECT pg_current_xact_id()::text AS id');
      await manager.save(
        manager.create(Event, {
          id: uuid(),
          type: 'order.created',
          resourceId: order.id,
          sequence: 1,
          data,
          createdAt: now,
          transactionId,
        }),
      );
      await manager.save(
        manager.create(IdempotencyKey, {
          scope,
          key,
          fingerprint: Buffer.from(JSON.stringify(items)),
          status: 201,
          body: JSON.stringify(data),
          createdAt: now,
        }),
      );
      return { success: true, data };
    });
  }
}

@Controller('health')
class HealthController {
  @Get('ready')
  ready(): object {
    return {};
  }
}

@Module({})
class AppModule {}

export async function serve(given: { url: string; secret: string; port: number; poolSize: number }): Promise<void> {
  const dataSource = await new DataSource({
    type: 'postgres',
    url: given.url,
    poolSize: given.poolSize,
    entities: [Product, Order, OrderItem, StatusChange, Event, IdempotencyKey],
    namingStrategy: new SnakeCase(),
    installExtensions: false,
  }).initialize();
  const app = await NestFactory.create<NestFastifyApplication>(
    {
      module: AppModule,
      imports: [PassportModule],
      controllers: [OrdersController, HealthController],
      providers: [
        JwtStrategy,
        { provide: DataSource, useValue: dataSource },
        { provide: JwtService, useValue: new JwtService({ secret: given.secret }) },
      ],
    },
    new FastifyAdapter(),
    { logger: ['error'] },
  );
  app.useGlobalPipes(new ValidationPipe({ whitelist: true, forbidNonWhitelisted: true, transform: true }));
  app.enableShutdownHooks();
  await app.listen(given.port, '127.0.0.1');
}
