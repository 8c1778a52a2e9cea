import { type ArgumentMetadata, Injectable, type PipeTransform, ValidationPipe } from '@nestjs/common';
import type { ValidationError as Fault } from 'class-validator';
import { type ErrorDetail, MalformedError, ValidationError } from '../errors.js';
import { assertStorable, RawBody } from './body.js';

/**
 * Turns bodies and queries into instances of their DTO classes. Nothing is dropped or coerced in silence: an unknown
 * property, a wrong type or a body that is no JSON object is refused, and every field that is at fault is named.
 */
@Injectable()
export class RequestValidationPipe extends ValidationPipe {
  constructor() {
    super({
      transform: true,
      whitelist: true,
      forbidNonWhitelisted: true,
      forbidUnknownValues: true,
      stopAtFirstError: true,
      // What is wrong with a field is for the client to know; the value may be a secret.
      validationError: { target: false, value: false },
      exceptionFactory: (faults) =>
        new ValidationError(
          'The request is not valid',
          faults.flatMap((fault) => describe(fault)),
        ),
    });
  }

  override async transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    if (metadata.type === 'body') {
      if (!(value instanceof RawBody)) throw new MalformedError('A JSON body is required');
      return super.transform(value.parse(), metadata);
    }
    if (metadata.type === 'query') {
      // A cursor is compared with those we gave out, and never stored.
      const { cursor: _, ...stored } = value as Record<string, unknown>;
      assertStorable(stored, '', 0);
      return super.transform({ ...(value as object) }, metadata);
    }
    return value;
  }

  /** What reaches for a prototype has been refused; `prototype` itself is a name like others, and none that we know. */
  protected override stripProtoKeys(): void {
    // Nest would delete it without a word.
  }
}

/** One detail for each rule that is broken, with the path of its field: `items[0].quantity`. */
function describe(fault: Fault, parent = ''): ErrorDetail[] {
  const isIndex = /^\d+$/.test(fault.property) && parent !== '';
  const separator = parent === '' ? '' : '.';
  const field = isIndex ? `${parent}[${fault.property}]` : `${parent}${separator}${fault.property}`;
  const own = Object.values(fault.constraints ?? {}).map((message) => ({
    field,
    message: withoutName(message, fault.property),
  }));
  return [...own, ...(fault.children ?? []).flatMap((child) => describe(child, field))];
}

/** class-validator begins its messages with the property's name, which `field` says already. */
function withoutName(message: string, property: string): string {
  if (message === `property ${property} should not exist`) return 'is not a known property';
  return message.startsWith(`${property} `) ? message.slice(property.length + 1) : message;
}

const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i;

/** A path parameter that must be a UUID. */
export class UuidPipe implements PipeTransform<string, string> {
  constructor(private readonly name: string) {}

  transform(value: string): string {
    if (!UUID.test(value)) throw ValidationError.of(this.name, 'must be a UUID');
    return value.toLowerCase();
  }
}
