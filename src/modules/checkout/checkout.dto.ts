import { OmitType } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsDefined, IsObject, ValidateNested } from 'class-validator';
import { RegisterDto, TokensView } from '../auth/index.js';
import { OrderView, PlaceOrderDto } from '../orders/index.js';

export class CheckoutDto {
  /** Who orders, and is registered by it */
  @IsDefined({ message: 'is required' })
  @IsObject({ message: 'must be an object' })
  @ValidateNested()
  @Type(() => RegisterDto)
  user: RegisterDto;

  @IsDefined({ message: 'is required' })
  @IsObject({ message: 'must be an object' })
  @ValidateNested()
  @Type(() => PlaceOrderDto)
  order: PlaceOrderDto;
}

export class CheckoutView extends OmitType(TokensView, ['accessToken', 'refreshToken'] as const) {
  /** Null where the answer is given again */
  accessToken: string | null;

  /** Null where the answer is given again */
  refreshToken: string | null;

  order: OrderView;
}
