import { ApiProperty, OmitType } from '@nestjs/swagger';
import { IsIn, NotEquals } from 'class-validator';
import {
  Amount,
  Currency,
  Integer,
  MAX_INTEGER,
  Name,
  Optional,
  QueryBoolean,
  QueryInteger,
  QueryText,
  Text,
} from '../../http/fields.js';
import { ListQuery } from '../../http/list-query.dto.js';
import { MAX_STOCK, type Product, PRODUCT_STATUSES, type ProductStatus } from './product.entity.js';

export class CreateProductDto {
  /** @example DESK-OAK-160 */
  @Text(1, 64)
  sku: string;

  /** @example "Oak desk" */
  @Name()
  name: string;

  /**
   * Empty where it is left out
   * @example "A solid oak desk, 160 by 80 cm."
   */
  @Optional()
  @Text(0, 5000)
  description?: string;

  /**
   * In the currency's minor unit
   * @example 44900
   */
  @Amount()
  price: number;

  @Currency()
  currency: string;

  /**
   * How many there are to begin with: none where it is left out
   * @example 25
   */
  @Optional()
  @Integer(0, MAX_STOCK)
  stock?: number;

  /** A draft where it is left out. Only active products are seen and ordered */
  @Optional()
  @IsIn(PRODUCT_STATUSES)
  status?: ProductStatus;
}

export class ReplaceProductDto extends OmitType(CreateProductDto, ['stock'] as const) {}

export class UpdateProductDto {
  /** @example DESK-OAK-160 */
  @Optional()
  @Text(1, 64)
  sku?: string;

  /** @example "Oak desk" */
  @Optional()
  @Name()
  name?: string;

  /** @example "A solid oak desk, 160 by 80 cm." */
  @Optional()
  @Text(0, 5000)
  description?: string;

  /**
   * In the currency's minor unit
   * @example 44900
   */
  @Optional()
  @Amount()
  price?: number;

  @Optional()
  @Currency()
  currency?: string;

  /** Only active products are seen and ordered */
  @Optional()
  @IsIn(PRODUCT_STATUSES)
  status?: ProductStatus;
}

export class AdjustStockDto {
  /**
   * How many came, or, below zero, went
   * @example -3
   */
  @Integer(-MAX_STOCK, MAX_STOCK)
  @NotEquals(0, { message: 'must not be 0' })
  delta: number;

  /** @example "Broken in the warehouse" */
  @Text(1, 500)
  reason: string;
}

export class ProductsQuery extends ListQuery {
  /**
   * Words to look for in the name, the sku and the description: all of them, whatever their case, accents and endings.
   * A word that no product has stands for those that are nearly the same; where nothing is found, every longer word does.
   * @example oak desk
   */
  @Optional()
  @QueryText(200)
  q?: string;

  /** Any but `active` is for moderators */
  @Optional()
  @IsIn(PRODUCT_STATUSES)
  status?: ProductStatus;

  @Optional()
  @Currency()
  currency?: string;

  /** This price or more, in the minor unit */
  @Optional()
  @QueryInteger(0, MAX_INTEGER)
  minPrice?: number;

  /** This price or less, in the minor unit */
  @Optional()
  @QueryInteger(0, MAX_INTEGER)
  maxPrice?: number;

  /** Whether there are any left */
  @Optional()
  @QueryBoolean()
  inStock?: boolean;

  /** `relevance`, the best match first, is for searches, and the default there; names are sorted whatever their case */
  @Optional()
  @IsIn(['createdAt', 'price', 'name', 'relevance'])
  sortBy?: 'createdAt' | 'price' | 'name' | 'relevance';
}

export class ProductView {
  @ApiProperty({ format: 'uuid' })
  id: string;
  /** @example DESK-OAK-160 */
  sku: string;
  /** @example "Oak desk" */
  name: string;
  /** @example "A solid oak desk, 160 by 80 cm." */
  description: string;
  /**
   * In the currency's minor unit
   * @example 44900
   */
  @Amount()
  price: number;
  /** @example EUR */
  currency: string;
  /** @example 25 */
  @Integer(0, MAX_STOCK)
  stock: number;
  status: ProductStatus;
  createdAt: Date;
  updatedAt: Date;
  @ApiProperty({ type: 'integer' })
  version: number;
}

/** The stock changes more often than the version, and an answer must not be taken for one with another stock. */
export const tagOfProduct = ({ version, stock }: ProductView): string => `${version}-${stock}`;

export function toProduct(product: Product): ProductView {
  return {
    id: product.id,
    sku: product.sku,
    name: product.name,
    description: product.description,
    price: product.price,
    currency: product.currency,
    stock: product.stock,
    status: product.status,
    createdAt: product.createdAt,
    updatedAt: product.updatedAt,
    version: product.version,
  };
}
