import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Repeats } from './repeats.js';

describe('repeated work', () => {
  it('goes on after an error, and says what it was', async () => {
    const lines: string[] = [];
    const repeats = new Repeats(pino({ base: null }, { write: (line: string) => void lines.push(line) }));
    let runs = 0;
    const work = async () => {
      if (++runs === 1) throw new Error('once');
    };
    repeats.start([{ name: 'count', everyMs: 5, work }]);
    await sleep(200);
    await repeats.stop();
    expect(runs).toBeGreaterThan(2);
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({ repeat: 'count', err: { message: 'once' } });
  });

  it('never overlaps itself, and has ended when it is stopped', async () => {
    const repeats = new Repeats(pino({ level: 'silent' }));
    let running = 0;
    let most = 0;
    const work = async () => {
      most = Math.max(most, ++running);
      await sleep(20);
      running--;
    };
    repeats.start([{ name: 'slow', everyMs: 1, work }]);
    await sleep(100);
    await repeats.stop();
    expect(running).toBe(0);
    expect(most).toBe(1);
    await sleep(30);
    expect(running).toBe(0);
  });
});
