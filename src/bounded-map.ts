/**
 * A map that forgets: it holds `most` entries at most, and at least the half of that which was used last. To use one is
 * hardly more than to look it up, as only whole halves are ever thrown away; a map that is kept in the order of use
 * moves an entry each time, and leaves holes that have to be cleared up.
 */
export class BoundedMap<V> {
  private recent = new Map<string, V>();
  private older = new Map<string, V>();
  private weight = 0;

  /** @param weightOf where entries are not alike: `most` is of the sum then */
  constructor(
    private readonly most: number,
    private readonly weightOf: (value: V) => number = () => 1,
  ) {}

  get size(): number {
    return this.recent.size + this.older.size;
  }

  get(key: string): V | undefined {
    const value = this.recent.get(key);
    if (value !== undefined) return value;
    const old = this.older.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  has(key: string): boolean {
    return this.recent.has(key) || this.older.has(key);
  }

  set(key: string, value: V): void {
    this.older.delete(key);
    const replaced = this.recent.get(key);
    this.weight += this.weightOf(value) - (replaced === undefined ? 0 : this.weightOf(replaced));
    this.recent.set(key, value);
    if (this.weight * 2 < this.most) return;
    this.older = this.recent;
    this.recent = new Map();
    this.weight = 0;
  }

  delete(key: string): boolean {
    const value = this.recent.get(key);
    if (value !== undefined) this.weight -= this.weightOf(value);
    return [this.recent.delete(key), this.older.delete(key)].includes(true);
  }

  clear(): void {
    this.recent.clear();
    this.older.clear();
    this.weight = 0;
  }

  /** Deletes the entries that this is true of. */
  drop(isOver: (value: V) => boolean): void {
    for (const half of [this.recent, this.older]) {
      for (const [key, value] of half) if (isOver(value)) this.delete(key);
    }
  }
}
