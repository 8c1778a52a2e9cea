// Draws a CPU profile, as `npm run bench -- --profile` leaves it, as a flame graph:
//   node bench/flame.mjs bench/profiles/CPU….cpuprofile 'POST /orders' > flame.svg
import { readFileSync } from 'node:fs';

const WIDTH = 1400;
const ROW = 16;
/** What takes less of the time is left out. */
const LEAST = 0.003;
/** What is no request's work: waiting, and the start. */
const isLeftOut = ({ functionName, url }) =>
  ['(idle)', '(program)'].includes(functionName) || /^node:internal\/(modules|main)/.test(url);
const COLOURS = [
  [/\/dist\/src\//, 'Stoa', '#f2a65a'],
  [/@nestjs|rxjs|reflect-metadata|class-/, 'Nest, rxjs', '#e4717a'],
  [/fastify|find-my-way/, 'Fastify', '#e8cf6b'],
  [/node_modules\/(pg|typeorm|postgres)/, 'pg, TypeORM', '#7fb2d9'],
  [/node_modules\//, 'other packages', '#b9a3d6'],
  [/./, 'Node', '#c9ccd1'],
];

const [file, title = file] = process.argv.slice(2);
const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8'));
const byId = new Map(nodes.map((node) => [node.id, node]));
const own = new Map();
samples.forEach((id, index) => own.set(id, (own.get(id) ?? 0) + timeDeltas[index]));

/** The same function below the same callers is one frame. */
function frameOf(node) {
  const { functionName, url } = node.callFrame;
  const frame = { name: functionName || '(anonymous)', url, time: own.get(node.id) ?? 0, below: new Map() };
  for (const child of (node.children ?? []).map((id) => byId.get(id))) {
    if (isLeftOut(child.callFrame)) continue;
    const made = frameOf(child);
    frame.time += made.time;
    const key = `${made.name} ${made.url}`;
    frame.below.set(key, frame.below.has(key) ? merged(frame.below.get(key), made) : made);
  }
  return frame;
}

function merged(one, other) {
  const below = new Map(one.below);
  for (const [key, frame] of other.below) below.set(key, below.has(key) ? merged(below.get(key), frame) : frame);
  return { ...one, time: one.time + other.time, below };
}

const escaped = (text) => text.replace(/[<>&"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
const colourOf = ({ name, url }) =>
  name === '(garbage collector)' ? '#9aa56b' : COLOURS.find(([of]) => of.test(url || '-'))[2];

const root = frameOf(nodes[0]);
const boxes = [];
let deepest = 0;
(function draw(frame, left, depth) {
  const width = (frame.time / root.time) * WIDTH;
  if (frame.time < root.time * LEAST) return;
  deepest = Math.max(deepest, depth);
  const percent = ((frame.time / root.time) * 100).toFixed(1);
  const place = frame.url.replace(/^file:\/\/.*?\/(node_modules|dist)\//, '$1/');
  const shown = frame.name.slice(0, Math.floor((width - 4) / 6.2));
  boxes.push(
    `<g><title>${escaped(`${frame.name} ${place}: ${percent} %`)}</title>` +
      `<rect x="${left.toFixed(1)}" y="${40 + depth * ROW}" width="${Math.max(0.5, width - 0.5).toFixed(1)}" height="${ROW - 1}" fill="${colourOf(frame)}"/>` +
      (shown.length > 2 ? `<text x="${(left + 2).toFixed(1)}" y="${51 + depth * ROW}">${escaped(shown)}</text>` : '') +
      '</g>',
  );
  let next = left;
  for (const child of [...frame.below.values()].sort((one, other) => other.time - one.time)) {
    draw(child, next, depth + 1);
    next += (child.time / root.time) * WIDTH;
  }
})(root, 0, 0);

const legend = COLOURS.map(
  ([, label, colour], index) =>
    `<rect x="${4 + index * 130}" y="26" width="10" height="10" fill="${colour}"/><text x="${18 + index * 130}" y="35">${label}</text>`,
);
process.stdout.write(
  `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${56 + deepest * ROW}" font-family="monospace" font-size="10">\n` +
    `<rect width="100%" height="100%" fill="#fff"/><text x="4" y="16" font-size="14">${escaped(title)}</text>\n` +
    `${legend.join('\n')}\n${boxes.join('\n')}\n</svg>\n`,
);
