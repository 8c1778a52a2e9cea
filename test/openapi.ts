import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

interface Content {
  content?: Record<string, unknown>;
}
type Response = Content & { $ref?: string };
type Operation = { responses: Record<string, Response> };
interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components?: { responses?: Record<string, Response> };
}

export interface Exchange {
  method: string;
  /** Without its query. */
  path: string;
  status: number;
  contentType: string | null;
  body: unknown;
  text: string;
}

/** The published OpenAPI document, held against what the server really answers. */
export class Contract {
  private readonly ajv = new Ajv2020({ strict: false, allErrors: true, logger: false });
  private readonly paths: { template: string; pattern: RegExp }[];
  private readonly validators = new Map<string, ValidateFunction>();

  constructor(private readonly document: Document) {
    if (!document.openapi.startsWith('3.1.')) throw new Error(`Not OpenAPI 3.1 but ${document.openapi}`);
    addFormats.default(this.ajv);
    this.ajv.addSchema(document, 'openapi', undefined, false);
    this.paths = Object.keys(document.paths)
      // `/users/me` before `/users/{id}`
      .sort((one, other) => Number(one.includes('{')) - Number(other.includes('{')))
      .map((template) => ({
        template,
        pattern: new RegExp(`^${template.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}$`),
      }));
  }

  /** Throws where an answer is not what the document promises. What it does not describe at all is let through. */
  check(exchange: Exchange): void {
    const { method, path, status } = exchange;
    // A route that is not described under v2 answers there as under v1.
    const templateOf = (name: string) => this.paths.find(({ pattern }) => pattern.test(name))?.template;
    const template = templateOf(path) ?? templateOf(path.replace('/api/v2/', '/api/v1/'));
    if (template === undefined || ['HEAD', 'OPTIONS'].includes(method)) return;
    const operations = this.document.paths[template]!;
    // A method that the path does not take has no operation of its own: any other tells what 405 looks like.
    const other = Object.keys(operations).find((name) => operations[name]!.responses?.[status] !== undefined);
    const name = method.toLowerCase() in operations ? method.toLowerCase() : status === 405 ? other : undefined;
    if (name === undefined) return this.fail(exchange, `the document has no ${method} ${template}`);

    const pointer = ['paths', template, name, 'responses', String(status)];
    const response = operations[name]!.responses[status];
    if (response === undefined) return this.fail(exchange, `the document has no ${status} for ${name} ${template}`);
    this.checkBody(exchange, response, pointer);
  }

  private checkBody(exchange: Exchange, response: Response, pointer: string[]): void {
    if (response.$ref !== undefined) {
      const target = response.$ref.replace('#/', '').split('/');
      const shared = this.document.components?.responses?.[target.at(-1)!];
      if (shared === undefined) return this.fail(exchange, `${response.$ref} does not exist`);
      return this.checkBody(exchange, shared, target);
    }
    const types = Object.keys(response.content ?? {});
    const type = exchange.contentType?.split(';', 1)[0]?.trim();
    if (types.length === 0) {
      if (exchange.text !== '') this.fail(exchange, 'the document promises no body');
      return;
    }
    if (type === undefined || !types.includes(type)) {
      return this.fail(exchange, `the type is ${type}, the document promises ${types.join(' or ')}`);
    }
    if (!type.endsWith('json')) return;
    const validate = this.validatorOf([...pointer, 'content', type, 'schema']);
    if (!validate(exchange.body)) {
      this.fail(exchange, validate.errors!.map((error) => `${error.instancePath || '/'} ${error.message}`).join('; '));
    }
  }

  private validatorOf(pointer: string[]): ValidateFunction {
    const escape = (part: string) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));
    const $ref = `openapi#/${pointer.map(escape).join('/')}`;
    let validate = this.validators.get($ref);
    if (validate === undefined) this.validators.set($ref, (validate = this.ajv.compile({ $ref })));
    return validate;
  }

  private fail({ method, path, status, text }: Exchange, reason: string): never {
    throw new Error(`${method} ${path} → ${status} breaks the OpenAPI document: ${reason}\n${text.slice(0, 2000)}`);
  }
}
