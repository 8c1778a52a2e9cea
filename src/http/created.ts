/** What a handler returns to answer 201: the new thing, and where it is, as a path below `/api/v…`. */
export class Created<T> {
  private secrets: readonly (keyof T)[] = [];
  /** Whom it tells of. */
  subject: string | undefined;

  constructor(
    readonly location: string,
    readonly body: T,
  ) {}

  /** These fields are shown this once: where the answer is given again they are null, and nothing keeps them. */
  withSecrets(...fields: (keyof T)[]): this {
    this.secrets = fields;
    return this;
  }

  /** It tells of this user: what is kept of it is forgotten with them, whoever asked. */
  about(userId: string): this {
    this.subject = userId;
    return this;
  }

  withoutSecrets(): T {
    return { ...this.body, ...Object.fromEntries(this.secrets.map((field) => [field, null])) };
  }
}
