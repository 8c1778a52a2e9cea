import { v7 as uuid } from 'uuid';

const DAY_MS = 24 * 60 * 60 * 1000;
const BATCH = 5000;

/**
 * Forgets what is older than so many days, a batch at a time: no statement takes long, however much there is.
 *
 * @param deleteOldest deletes so many rows whose id is lower than this one, and says how many it found
 */
export async function purge(
  days: number,
  deleteOldest: (before: string, limit: number) => Promise<number>,
): Promise<void> {
  // Ids bear the time at which they were made: this is the lowest of its millisecond.
  const before = uuid({ msecs: Date.now() - days * DAY_MS, seq: 0, random: new Uint8Array(16) });
  for (let found = BATCH; found === BATCH;) found = await deleteOldest(before, BATCH);
}
