interface Place<T> {
  readonly value: T;
  before: Place<T> | undefined;
  after: Place<T> | undefined;
  isLeft: boolean;
}

export type { Place };

/**
 * Things in the order in which they came, any of which may leave at any time.
 *
 * Not a Set: of one that is entered and left thousands of times a second V8 makes a new table every few times, and each
 * former one points to the next. Once one of them is garbage of the old generation, all later ones live on with it until
 * that is collected, and with them the requests that were in them.
 */
export class WaitingLine<T> implements Iterable<T> {
  private head: Place<T> | undefined;
  private tail: Place<T> | undefined;
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** Who has been here for the longest. */
  get first(): T | undefined {
    return this.head?.value;
  }

  enter(value: T): Place<T> {
    const place: Place<T> = { value, before: this.tail, after: undefined, isLeft: false };
    if (this.tail === undefined) this.head = place;
    else this.tail.after = place;
    this.tail = place;
    this.count++;
    return place;
  }

  /** @returns whether it was still here */
  leave(place: Place<T>): boolean {
    if (place.isLeft) return false;
    const { before, after } = place;
    if (before === undefined) this.head = after;
    else before.after = after;
    if (after === undefined) this.tail = before;
    else after.before = before;
    place.before = place.after = undefined;
    place.isLeft = true;
    this.count--;
    return true;
  }

  /** Whoever comes or leaves meanwhile may be met or not. */
  *[Symbol.iterator](): Iterator<T> {
    for (let place = this.head; place !== undefined;) {
      const { value, after } = place;
      yield value;
      place = after;
    }
  }
}
