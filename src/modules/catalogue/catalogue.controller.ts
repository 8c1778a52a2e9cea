import { Body, Controller, Delete, Get, Patch, Post, Put, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { JsonView } from '../../database/json-view.js';
import type { Page } from '../../database/paging.js';
import { Created } from '../../http/created.js';
import { ApiId, CurrentUser, Id, MaybeUser, Public, PubliclyCacheable, Requires } from '../../http/decorators.js';
import { filtersOf } from '../../http/list-query.dto.js';
import { Answers } from '../../http/openapi.js';
import { IfMatch, Tagged } from '../../http/preconditions.js';
import type { Principal } from '../../permissions.js';
import type { VersionCheck } from '../../stale-version.js';
import {
  AdjustStockDto,
  CreateProductDto,
  ProductsQuery,
  ProductView,
  ReplaceProductDto,
  tagOfProduct,
  toProduct,
  UpdateProductDto,
} from './catalogue.dto.js';
import { CatalogueService } from './catalogue.service.js';

@ApiTags('Catalogue')
@Controller('products')
export class CatalogueController {
  constructor(private readonly catalogue: CatalogueService) {}

  /** List products */
  @Get()
  @Public()
  @PubliclyCacheable()
  @Answers(200, [ProductView])
  async list(@Query() query: ProductsQuery, @MaybeUser() user: Principal | undefined): Promise<Page<JsonView>> {
    const page = await this.catalogue.list(filtersOf(query), query, user);
    return page.map(({ view }) => view);
  }

  /** Create a product */
  @Post()
  @Requires('write')
  @Tagged(tagOfProduct)
  @Answers(201, ProductView, { conflict: 'The sku is taken' })
  async create(@Body() body: CreateProductDto): Promise<Created<ProductView>> {
    const product = await this.catalogue.create(body);
    return new Created(`/products/${product.id}`, toProduct(product));
  }

  /** Get a product */
  @Get(':id')
  @Public()
  @PubliclyCacheable()
  @ApiId()
  @Tagged(tagOfProduct)
  @Answers(200, ProductView)
  async get(@Id() id: string, @MaybeUser() user: Principal | undefined): Promise<ProductView> {
    return toProduct(await this.catalogue.get(id, user));
  }

  /** Replace a product, apart from its stock */
  @Put(':id')
  @Requires('write')
  @ApiId()
  @Tagged(tagOfProduct)
  @Answers(200, ProductView, { conflict: 'The sku is taken' })
  async replace(
    @Id() id: string,
    @Body() body: ReplaceProductDto,
    @IfMatch() check: VersionCheck,
  ): Promise<ProductView> {
    return toProduct(await this.catalogue.replace(id, body, check));
  }

  /** Change a product */
  @Patch(':id')
  @Requires('write')
  @ApiId()
  @Tagged(tagOfProduct)
  @Answers(200, ProductView, { conflict: 'The sku is taken' })
  async update(@Id() id: string, @Body() body: UpdateProductDto, @IfMatch() check: VersionCheck): Promise<ProductView> {
    return toProduct(await this.catalogue.update(id, body, check));
  }

  /** Delete a product, or archive it if an order names it */
  @Delete(':id')
  @Requires('delete')
  @ApiId()
  @Answers(204, null)
  async delete(@Id() id: string, @IfMatch() check: VersionCheck): Promise<void> {
    await this.catalogue.delete(id, check);
  }

  /** Adjust a product's stock */
  @Post(':id/stock-adjustments')
  @Requires('write')
  @ApiId()
  @Tagged(tagOfProduct)
  @Answers(201, ProductView, { fails: ['INSUFFICIENT_STOCK'] })
  async adjustStock(
    @Id() id: string,
    @Body() body: AdjustStockDto,
    @CurrentUser() user: Principal,
  ): Promise<Created<ProductView>> {
    const product = await this.catalogue.adjustStock(id, body, user);
    return new Created(`/products/${product.id}`, toProduct(product));
  }
}
