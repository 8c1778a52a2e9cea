import { type Cache, createCache } from 'cache-manager';
import { type DeserializedData, Keyv } from 'keyv';
import { BoundedMap } from '../bounded-map.js';
import type { Redis } from '../redis/redis.js';
import type { Metrics } from '../telemetry/metrics.js';
import { Gather } from '../database/gather.js';
import { redisStore } from './redis-store.js';

const TTL_MS = 3_600_000;
const ABSENT_MS = 60_000;
const MOST_ENTRIES = 20_000;

/** What the database says of a row at this moment: which state it is in, and whatever is never cached. */
export interface Stamp {
  id: string;
  /** Another for every state that the row has been in. */
  stamp: string;
}

/** Where the rows are. */
export interface Source<Row extends Stamp, Now extends Stamp> {
  name: string;
  /** Of the shape of an entry: with another number the entries of an older or newer release are never met. */
  shape: number;
  /** Those of the rows that there are, read now. */
  stamps(ids: string[]): Promise<Now[]>;
  rows(ids: string[]): Promise<Row[]>;
}

type Entry<Row> = Row | 'absent';

/**
 * Keeps rows in two tiers, this process's memory and Redis, and never serves one that the database has not confirmed
 * since it was asked for: a read costs a question for a stamp, which many reads share, and not a row. So there is no
 * moment after a commit at which the old row could still be served, on any replica, whatever becomes of a signal, of
 * Redis, or of a load that began before. Only that there is no such row is believed without asking: ids are made here
 * and given to nobody before their row is committed, and one that is gone does not come back.
 */
export class RowCache<Row extends Stamp, Now extends Stamp> {
  private readonly memory = new BoundedMap<DeserializedData<Entry<Row>>>(MOST_ENTRIES);
  private readonly cache: Cache;
  private readonly stamps: Gather<Now>;
  private readonly rows: Gather<Row>;

  constructor(
    private readonly source: Source<Row, Now>,
    redis: Redis,
    private readonly metrics: Metrics,
  ) {
    const first = new Keyv({ store: this.memory, useKeyPrefix: false });
    // In our own memory objects are kept as they are.
    first.serialize = first.deserialize = undefined;
    const second = new Keyv({ store: redisStore(redis), useKeyPrefix: false });
    second.serialize = (data) => JSON.stringify(data);
    second.deserialize = (text) => JSON.parse(text, revive) as never;
    this.cache = createCache({ stores: redis.isConfigured ? [first, second] : [first] });
    this.stamps = new Gather(async (ids) => byId(await source.stamps(ids)));
    this.rows = new Gather(async (ids) => byId(await source.rows(ids)));
  }

  /** The row, and what is said of it now. Shared by all who ask: not to be changed. */
  async find(id: string): Promise<{ row: Row; now: Now | Row } | null> {
    const key = this.keyOf(id);
    const inMemory = this.inMemory(key);
    const tier = inMemory === undefined ? 'redis' : 'memory';
    const known = inMemory ?? (await this.cache.get<Entry<Row>>(key));
    if (known === 'absent') {
      this.metrics.countCacheRead(this.source.name, tier);
      return null;
    }
    if (known !== undefined) {
      const now = await this.stamps.of(id);
      if (now?.stamp === known.stamp) {
        this.metrics.countCacheRead(this.source.name, tier);
        if (tier === 'redis') await this.cache.stores[0]?.set(key, known, jittered(TTL_MS));
        return { row: known, now };
      }
    }
    this.metrics.countCacheRead(this.source.name, 'none');
    const row = await this.rows.of(id);
    if (row === undefined) {
      await this.cache.set<Entry<Row>>(key, 'absent', jittered(ABSENT_MS));
      return null;
    }
    await this.cache.set<Entry<Row>>(key, row, jittered(TTL_MS));
    return { row, now: row };
  }

  /** Not needed to be right, but what was erased should not lie about. */
  async forget(id: string): Promise<void> {
    await this.cache.del(this.keyOf(id));
  }

  /** As the cache would read it from its first tier, but now: its way there takes several promises. */
  private inMemory(key: string): Entry<Row> | undefined {
    const kept = this.memory.get(key);
    return kept?.expires != null && kept.expires > Date.now() ? kept.value : undefined;
  }

  private keyOf(id: string): string {
    return `stoa:cache:${this.source.name}:${this.source.shape}:${id}`;
  }
}

const byId = <T extends Stamp>(rows: readonly T[]): Map<string, T> => new Map(rows.map((row) => [row.id, row]));

/** Up to a tenth less, so that what was loaded together does not end together. */
const jittered = (milliseconds: number): number => milliseconds * (0.9 + Math.random() / 10);

const revive = (key: string, value: unknown): unknown =>
  key.endsWith('At') && typeof value === 'string' ? new Date(value) : value;
