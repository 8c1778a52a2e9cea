import { Body, Controller, Delete, Get, HttpCode, Patch, Post, Put, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Page } from '../../database/paging.js';
import { Created } from '../../http/created.js';
import { ApiId, CurrentUser, Id, MaybeUser, Public, PubliclyCacheable, Requires } from '../../http/decorators.js';
import { filtersOf } from '../../http/list-query.dto.js';
import { Answers } from '../../http/openapi.js';
import type { Principal } from '../../permissions.js';
import {
  AdjustStockDto,
  CreateProductDto,
  ProductsQuery,
  ProductView,
  ReplaceProductDto,
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
  async list(@Query() query: ProductsQuery, @MaybeUser() user: Principal | undefined): Promise<Page<ProductView>> {
    const page = await this.catalogue.list(filtersOf(query), query, user);
    return page.map(toProduct);
  }

  /** Create a product */
  @Post()
  @Requires('write')
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
  @Answers(200, ProductView)
  async get(@Id() id: string, @MaybeUser() user: Principal | undefined): Promise<ProductView> {
    return toProduct(await this.catalogue.get(id, user));
  }

  /** Replace a product, apart from its stock */
  @Put(':id')
  @Requires('write')
  @ApiId()
  @Answers(200, ProductView, { conflict: 'The sku is taken' })
  async replace(@Id() id: string, @Body() body: ReplaceProductDto): Promise<ProductView> {
    return toProduct(await this.catalogue.replace(id, body));
  }

  /** Change a product */
  @Patch(':id')
  @Requires('write')
  @ApiId()
  @Answers(200, ProductView, { conflict: 'The sku is taken' })
  async update(@Id() id: string, @Body() body: UpdateProductDto): Promise<ProductView> {
    return toProduct(await this.catalogue.update(id, body));
  }

  /** Delete a product, or archive it if an order names it */
  @Delete(':id')
  @HttpCode(204)
  @Requires('delete')
  @ApiId()
  @Answers(204, null)
  async delete(@Id() id: string): Promise<void> {
    await this.catalogue.delete(id);
  }

  /** Adjust a product's stock */
  @Post(':id/stock-adjustments')
  @Requires('write')
  @ApiId()
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
