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

export class CheckoutView extends TokensView {
  order: OrderView;
}
