/** How many questions to the database may be under way: a third waits and takes along whoever comes meanwhile. */
const AT_ONCE = 2;
const MOST_IDS = 500;
/** Where none is under way, so many do not wait for the rest of their turn: the database works while that goes on. */
const ENOUGH = 16;

interface Batch<T> {
  ids: Set<string>;
  answers: Promise<ReadonlyMap<string, T>>;
  ask: () => Promise<void>;
}

/**
 * Gathers questions for one row each into one for many, and asks for a row that many want only once. Who asks joins
 * only a question that has not been sent yet: the answer is never older than the question.
 */
export class Gather<T> {
  private next: Batch<T> | undefined;
  private readonly queue: Batch<T>[] = [];
  private running = 0;

  constructor(private readonly fetch: (ids: string[]) => Promise<ReadonlyMap<string, T>>) {}

  async of(id: string): Promise<T | undefined> {
    if (this.next === undefined || this.next.ids.size >= MOST_IDS) this.next = this.begin();
    const { ids, answers } = this.next;
    ids.add(id);
    if (this.running === 0 && ids.size >= ENOUGH) this.send();
    return (await answers).get(id);
  }

  private begin(): Batch<T> {
    const ids = new Set<string>();
    let resolve: (rows: ReadonlyMap<string, T>) => void;
    let reject: (error: unknown) => void;
    const answers = new Promise<ReadonlyMap<string, T>>((...ends) => {
      [resolve, reject] = ends;
    });
    const ask = () => this.fetch([...ids]).then(resolve, reject);
    const batch = { ids, answers, ask };
    this.queue.push(batch);
    // All that this turn of the event loop brings can still join.
    setImmediate(() => {
      this.send();
    });
    return batch;
  }

  private send(): void {
    if (this.running >= AT_ONCE) return;
    const batch = this.queue.shift();
    if (batch === undefined) return;
    if (batch === this.next) this.next = undefined;
    this.running++;
    void batch.ask().finally(() => {
      this.running--;
      this.send();
    });
  }
}
