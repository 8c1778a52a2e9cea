/** One window that something counts in: at most `limit` under this key. */
export interface Place {
  key: string;
  limit: number;
}

export interface Standing<P extends Place = Place> {
  place: P;
  used: number;
  /** Until one more place is free, or, where none is taken, for the length of the window; in microseconds. */
  freeIn: number;
}

export interface Verdict<P extends Place = Place> {
  /** Whether a place was taken in every window; else none was in any. */
  taken: boolean;
  /** When, in microseconds of the clock that the windows go by. */
  at: number;
  standings: Standing<P>[];
}

export const isFull = ({ place, used }: Standing): boolean => used >= place.limit;
