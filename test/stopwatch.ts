const TICK_MS = 10;
/** What is no more than that late came in time. */
const SLACK_MS = 10;

let lastTick = performance.now();
let lost = 0;
let isOver = false;

const late = (): number => (isOver ? 0 : Math.max(0, performance.now() - lastTick - TICK_MS - SLACK_MS));
const ticking = setInterval(() => {
  lost += late();
  lastTick = performance.now();
}, TICK_MS);
ticking.unref();
afterAll(() => {
  isOver = true;
  clearInterval(ticking);
});

/**
 * Milliseconds since it was started, without those for which this process stood still: what the machine did not give to
 * the one who waits it did not give to the server either, and says nothing about it.
 */
export function stopwatch(): () => number {
  const start = performance.now();
  const lostBefore = lost + late();
  return () => performance.now() - start - (lost + late() - lostBefore);
}
