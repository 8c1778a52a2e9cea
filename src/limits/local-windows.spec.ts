import fc from 'fast-check';
import { LocalWindows } from './local-windows.js';

const WINDOW = 1000;

describe('a sliding window', () => {
  /** Waits, then asks, as often as the list says; returns when a request was let through. */
  function play(limit: number, waits: readonly number[]): number[] {
    let now = 0;
    const windows = new LocalWindows(() => now);
    return waits.flatMap((wait) => {
      now += wait;
      return windows.take([{ key: 'a', limit }], WINDOW).taken ? [now] : [];
    });
  }

  const limits = fc.integer({ min: 1, max: 8 });
  const waits = fc.array(fc.integer({ min: 0, max: WINDOW / 2 }), { maxLength: 60 });

  it('never lets more through than its limit, over any window', () => {
    fc.assert(
      fc.property(limits, waits, (limit, gaps) => {
        const times = play(limit, gaps);
        return times.every((start) => times.filter((t) => t >= start && t < start + WINDOW).length <= limit);
      }),
    );
  });

  it('refuses only when the window before is full of what was let through: refusals do not count', () => {
    fc.assert(
      fc.property(limits, waits, (limit, gaps) => {
        const times = new Set(play(limit, gaps));
        let now = 0;
        const through: number[] = [];
        return gaps.every((gap) => {
          now += gap;
          const isFull = through.filter((t) => t > now - WINDOW).length >= limit;
          if (!isFull) through.push(now);
          return isFull || times.has(now);
        });
      }),
    );
  });

  it('says exactly when the next place is free', () => {
    fc.assert(
      fc.property(limits, waits, (limit, gaps) => {
        let now = 0;
        const windows = new LocalWindows(() => now);
        const take = () => windows.take([{ key: 'a', limit }], WINDOW);
        for (const gap of gaps) {
          now += gap;
          take();
        }
        for (;;) {
          const { taken, standings } = take();
          if (taken) continue;
          const freeIn = standings[0]?.freeIn ?? 0;
          now += freeIn - 1;
          expect(take().taken).toBe(false);
          now += 1;
          expect(take().taken).toBe(true);
          return;
        }
      }),
    );
  });

  it('takes a place in all windows or in none, and gives it back', () => {
    let now = 0;
    const windows = new LocalWindows(() => now);
    const [wide, narrow] = [
      { key: 'wide', limit: 3 },
      { key: 'narrow', limit: 1 },
    ];
    const first = windows.take([wide, narrow], WINDOW);
    now = 10;
    expect(windows.take([wide, narrow], WINDOW).standings.map(({ used }) => used)).toEqual([1, 1]);
    windows.giveBack([wide, narrow], first.at);
    expect(windows.size).toBe(0);
    expect(windows.take([wide, narrow], WINDOW).taken).toBe(true);
  });

  it('lets nobody in early after the limit was lowered', () => {
    let now = 0;
    const windows = new LocalWindows(() => now);
    for (now = 0; now < 5; now++) windows.take([{ key: 'a', limit: 5 }], WINDOW);
    const { taken, standings } = windows.take([{ key: 'a', limit: 2 }], WINDOW);
    expect([taken, standings[0]?.freeIn]).toEqual([false, WINDOW - 2]);
  });

  it('forgets who was seen the longest ago when there are too many', () => {
    const windows = new LocalWindows(() => 0, 4);
    for (const key of ['a', 'b', 'a', 'c']) windows.take([{ key, limit: 9 }], WINDOW);
    expect(windows.take([{ key: 'a', limit: 9 }], WINDOW).standings[0]?.used).toBe(3);
    expect(windows.size).toBe(2);
  });
});
