import { type ArgumentMetadata, Injectable, type PipeTransform, type Type, ValidationPipe } from '@nestjs/common';
import type { ValidationError as Fault } from 'class-validator';
import { BoundedMap } from '../bounded-map.js';
import { type ErrorDetail, MalformedError, ValidationError } from '../errors.js';
import { assertStorable, RawBody } from './body.js';

/** Of each class of query, in case somebody asks for something else each time. */
const MOST_KEPT = 1000;
const LONGEST_KEPT = 200;

/**
 * Turns bodies and queries into instances of their DTO classes. Nothing is dropped or coerced in silence: an unknown
 * property, a wrong type or a body that is no JSON object is refused, and every field that is at fault is named.
 */
@Injectable()
export class RequestValidationPipe extends ValidationPipe {
  /** By their class, what valid queries were turned into. Shared by all who ask the same, and so frozen. */
  private readonly valid = new Map<Type, BoundedMap<unknown>>();

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
    if (metadata.type === 'query') return this.query(value as Record<string, unknown>, metadata);
    return value;
  }

  /** A list is mostly asked for in the same few ways, and to check one took a tenth of the time that the list takes. */
  private async query(given: Record<string, unknown>, metadata: ArgumentMetadata): Promise<unknown> {
    const { metatype = Object } = metadata;
    const text = JSON.stringify(given);
    const valid = this.valid.get(metatype)?.get(text);
    if (valid !== undefined) return valid;
    // A cursor is compared with those we gave out, and never stored.
    const { cursor, ...stored } = given;
    assertStorable(stored, '', 0);
    const query: unknown = Object.freeze(await super.transform({ ...given }, metadata));
    // A page deeper in a list is hardly ever asked for twice.
    if (cursor === undefined && text.length <= LONGEST_KEPT) this.keep(metatype, text, query);
    return query;
  }

  private keep(metatype: Type, text: string, query: unknown): void {
    let kept = this.valid.get(metatype);
    if (kept === undefined) this.valid.set(metatype, (kept = new BoundedMap(MOST_KEPT)));
    kept.set(text, query);
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
  const own = Object.entries(fault.constraints ?? {}).map(([rule, message]) => ({
    field,
    message: rule === 'nestedValidation' ? 'must be an object' : withoutName(message, fault.property),
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
