import { Gate } from './gate.js';

/** One execution of a statement, as the server sent it. */
export interface Statement {
  sql: string;
  /** As text; a parameter that came in binary is not among what the server sends. */
  values: (string | null)[];
  /** What the connection calls itself. */
  application: string;
}

/** The server's connections that serve requests. Beside them are those that watch the database, listen and work jobs. */
const POOL = 'stoa';

/** A gate before the database where every statement that passes is written down. */
export class PostgresProxy {
  private constructor(
    readonly gate: Gate,
    readonly statements: Statement[],
  ) {}

  static async start(databaseUrl: string): Promise<PostgresProxy> {
    const statements: Statement[] = [];
    const gate = await Gate.to(databaseUrl, () => {
      const reader = new FrontendReader((statement) => statements.push(statement));
      return (sent) => reader.read(sent);
    });
    return new PostgresProxy(gate, statements);
  }

  /** What the connections that serve requests send while `work` runs. */
  async during<T>(work: () => Promise<T>): Promise<{ result: T; statements: Statement[] }> {
    const start = this.statements.length;
    const result = await work();
    return { result, statements: this.statements.slice(start).filter(({ application }) => application === POOL) };
  }
}

/** Reads what a client says. https://www.postgresql.org/docs/current/protocol-message-formats.html */
class FrontendReader {
  private rest = Buffer.alloc(0);
  /** The first message is the only one without a type. */
  private isGreeted = false;
  private application = '';
  private readonly prepared = new Map<string, string>();
  private readonly portals = new Map<string, Statement>();

  constructor(private readonly onStatement: (statement: Statement) => void) {}

  read(chunk: Buffer): void {
    this.rest = Buffer.concat([this.rest, chunk]);
    while (true) {
      const header = this.isGreeted ? 1 : 0;
      if (this.rest.length < header + 4) return;
      const end = header + this.rest.readInt32BE(header);
      if (this.rest.length < end) return;
      const type = this.isGreeted ? String.fromCharCode(this.rest[0]!) : 'startup';
      const body = new Body(this.rest.subarray(header + 4, end));
      this.rest = this.rest.subarray(end);
      this.isGreeted = true;
      this.take(type, body);
    }
  }

  private take(type: string, body: Body): void {
    if (type === 'startup') this.application = body.settings().get('application_name') ?? '';
    if (type === 'Q') this.onStatement({ sql: body.text(), values: [], application: this.application });
    if (type === 'P') this.prepared.set(body.text(), body.text());
    if (type === 'B') {
      const portal = body.text();
      const sql = this.prepared.get(body.text()) ?? '';
      for (let formats = body.int16(); formats > 0; formats--) body.int16();
      const values = Array.from({ length: body.int16() }, () => body.value());
      this.portals.set(portal, { sql, values, application: this.application });
    }
    if (type === 'E') {
      const statement = this.portals.get(body.text());
      if (statement !== undefined) this.onStatement(statement);
    }
  }
}

class Body {
  private at = 0;

  constructor(private readonly bytes: Buffer) {}

  text(): string {
    const end = this.bytes.indexOf(0, this.at);
    const text = this.bytes.toString('utf8', this.at, end);
    this.at = end + 1;
    return text;
  }

  /** Of a first message: names and values in turn behind the version, up to an empty name. */
  settings(): Map<string, string> {
    this.at += 4;
    const settings = new Map<string, string>();
    for (let name = this.text(); name !== ''; name = this.text()) settings.set(name, this.text());
    return settings;
  }

  int16(): number {
    this.at += 2;
    return this.bytes.readInt16BE(this.at - 2);
  }

  value(): string | null {
    const length = this.bytes.readInt32BE(this.at);
    this.at += 4;
    if (length < 0) return null;
    this.at += length;
    return this.bytes.toString('utf8', this.at - length, this.at);
  }
}
