// Draws dashboard.json as Grafana would, for the picture in docs/operations.md and to see, where there is no Grafana,
// that each panel has something to show; it names those that have nothing. Needs `chromium` in the PATH, and a Prometheus
// that scrapes every 5 s or more often:
//
//   node deploy/grafana/draw.mjs http://127.0.0.1:9090 2026-01-31T12:00:00Z 2026-01-31T12:08:00Z board.png
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const [prometheus, from, to, file] = process.argv.slice(2);
const [start, end] = [from, to].map((time) => Date.parse(time) / 1000);
if (!(start < end) || file === undefined) throw new Error('Usage: draw.mjs PROMETHEUS FROM TO FILE.png');

const WIDTH = 1600;
/** Of the grid, in pixels: what Grafana has. */
const [CELL, GAP, HEADER] = [30, 8, 48];
/** Seconds from point to point, and what Grafana would be told of scrapes: they must not be farther apart. */
const STEP = Math.max(5, Math.ceil((end - start) / 400));
const VARIABLES = { $instance: '.*', $__rate_interval: `${4 * STEP}s` };
/** Grafana's own for the first, and for each that is more another one. */
const COLORS = '#73bf69 #f2cc0c #8ab8ff #ff780a #f2495c #5794f2 #b877d9 #37872d'.split(' ');
const colorOf = (i) => COLORS[i] ?? `hsl(${(i * 137.5) % 360} 70% 70%)`;

/** The largest unit that leaves a number of 1 or more. */
const scaled = (units) => (value) => {
  const [size, name] = units.find(([size]) => Math.abs(value) >= size) ?? units.at(-1);
  return value === 0 ? '0' : `${+(value / size).toPrecision(3)}${name}`;
};
const decimal = (suffix) =>
  scaled([
    [1e6, ` M${suffix}`],
    [1e3, ` k${suffix}`],
    [1, suffix && ` ${suffix}`],
  ]);
const UNITS = {
  short: decimal(''),
  reqps: decimal('req/s'),
  ops: decimal('ops/s'),
  percentunit: (value) => `${+(100 * value).toPrecision(3)}%`,
  s: scaled([
    [3600, ' h'],
    [60, ' min'],
    [1, ' s'],
    [1e-3, ' ms'],
    [1e-6, ' µs'],
  ]),
  bytes: scaled([
    [2 ** 30, ' GiB'],
    [2 ** 20, ' MiB'],
    [2 ** 10, ' KiB'],
    [1, ' B'],
  ]),
};

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** The first of 1, 2, 5, 10 … times `base` that goes into `span` no more than `most` times. */
function niceStep(span, most, base = 1) {
  const power = 10 ** Math.floor(Math.log10(span / most / base));
  return base * [1, 2, 5, 10].map((each) => each * power).find((each) => span / (each * base) <= most);
}

async function series({ expr, legendFormat }) {
  const query = expr.replace(/\$\w+/g, (name) => VARIABLES[name] ?? name);
  const response = await fetch(`${prometheus}/api/v1/query_range`, {
    method: 'POST',
    body: new URLSearchParams({ query, start, end, step: STEP }),
  });
  const { data, error } = await response.json();
  if (error !== undefined) throw new Error(`${expr}: ${error}`);
  return data.result.map(({ metric, values }) => ({
    name: legendFormat.replace(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? ''),
    points: values.map(([time, value]) => [time, Number(value)]),
  }));
}

/** In percent of the plot, with gaps where nothing is known. */
function paths(points, top, color) {
  const x = (time) => ((100 * (time - start)) / (end - start)).toFixed(2);
  const y = (value) => (100 - (100 * value) / top).toFixed(2);
  const runs = [];
  points.forEach(([time, value], i) => {
    if (!Number.isFinite(value)) return;
    const before = points[i - 1];
    if (!Number.isFinite(before?.[1]) || time - before[0] > STEP) runs.push([]);
    runs.at(-1).push([time, value]);
  });
  return runs.map((run) => {
    const line = run.map(([time, value]) => `${x(time)},${y(value)}`).join('L');
    const area = `M${x(run[0][0])},100L${line}L${x(run.at(-1)[0])},100Z`;
    return `<path d="${area}" fill="${color}" opacity=".1"/><path d="M${line}" stroke="${color}" fill="none"/>`;
  });
}

async function plot({ title, targets, fieldConfig }) {
  const format = UNITS[fieldConfig.defaults.unit];
  const lines = (await Promise.all(targets.map(series))).flat();
  const values = lines.flatMap(({ points }) => points.map(([, value]) => value)).filter(Number.isFinite);
  if (values.length === 0) {
    console.warn(`No data: ${title}`);
    return '<div class="empty">No data</div>';
  }
  const highest = Math.max(...values) || 1;
  const base = format === UNITS.bytes ? 2 ** 20 : format === UNITS.s && highest > 120 ? 60 : 1;
  const step = niceStep(highest, 5, base);
  const top = step * Math.ceil(highest / step - 1e-9);
  const marks = Array.from({ length: Math.round(top / step) + 1 }, (_, i) => i * step).map(
    (value) => `<div class="y" style="bottom:${(100 * value) / top}%"><span>${format(value)}</span></div>`,
  );
  const every = [15, 30, 60, 120, 300, 600, 1800, 3600].find((each) => (end - start) / each <= 9) ?? 21600;
  for (let time = Math.ceil(start / every) * every; time <= end; time += every) {
    const clock = new Date(time * 1000).toISOString().slice(11, 16);
    marks.push(`<div class="x" style="left:${(100 * (time - start)) / (end - start)}%"><span>${clock}</span></div>`);
  }
  const colored = lines.map((line, i) => ({ ...line, color: colorOf(i) }));
  const drawn = colored.flatMap(({ points, color }) => paths(points, top, color));
  const legend = colored.map(({ name, color }) => `<span><i style="background:${color}"></i>${escaped(name)}</span>`);
  return `<div class="plot">${marks.join('')}<svg viewBox="0 0 100 100" preserveAspectRatio="none">${drawn.join('')}</svg></div>
    <div class="legend">${legend.join('')}</div>`;
}

async function place(panel) {
  const { x, y, w, h } = panel.gridPos;
  const column = (WIDTH - GAP) / 24;
  const style = `left:${GAP + x * column}px;top:${HEADER + y * (CELL + GAP)}px;width:${w * column - GAP}px;height:${h * (CELL + GAP) - GAP}px`;
  if (panel.type === 'row') return `<div class="row" style="${style}">⌄ ${escaped(panel.title)}</div>`;
  const heading = `<h2>${escaped(panel.title)} <small>${escaped(panel.description ?? '')}</small></h2>`;
  return `<div class="panel" style="${style}">${heading}${await plot(panel)}</div>`;
}

const { title, panels } = JSON.parse(readFileSync(join(import.meta.dirname, 'dashboard.json'), 'utf8'));
const height = HEADER + GAP + Math.max(...panels.map(({ gridPos: { y, h } }) => y + h)) * (CELL + GAP);
const range = [start, end]
  .map((time) => new Date(time * 1000).toISOString().slice(0, 19).replace('T', ' '))
  .join(' to ');
const page = `<!doctype html><meta charset="utf-8"><style>
  body { margin: 0; background: #111217; color: #ccccdc; font: 12px Inter, Roboto, 'DejaVu Sans', sans-serif }
  header { padding: 14px 12px; font-size: 16px } header small { float: right; font-size: 13px }
  h2 { margin: 0; font-size: 13px; font-weight: 500 } small { color: #9a9ba6; font-weight: 400 }
  .row, .panel { position: absolute; box-sizing: border-box } .row { padding: 7px 4px; font-size: 15px }
  .panel { display: flex; flex-direction: column; padding: 8px; background: #181b1f; border: 1px solid #26292e }
  .plot { position: relative; flex: 1; min-height: 0; margin: 12px 10px 22px 66px } .empty { margin: auto }
  svg { position: absolute; width: 100%; height: 100%; overflow: visible } path { vector-effect: non-scaling-stroke }
  .x, .y { position: absolute; color: #9a9ba6; font-size: 11px } .x span, .y span { position: absolute; white-space: nowrap }
  .y { left: 0; right: 0; border-top: 1px solid #2a2d33 } .y span { right: calc(100% + 8px); top: -8px }
  .x { top: 0; bottom: 0; border-left: 1px solid #2a2d33 } .x span { top: calc(100% + 5px); transform: translateX(-50%) }
  .legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 11px; max-height: 40%; overflow: hidden }
  .legend i { display: inline-block; width: 14px; height: 3px; margin-right: 5px; vertical-align: middle }
</style><header>${escaped(title)} <small>${range} UTC</small></header>${(await Promise.all(panels.map(place))).join('')}`;

const folder = mkdtempSync(join(tmpdir(), 'board-'));
writeFileSync(join(folder, 'board.html'), page);
// Without a sandbox, which root and containers have not: the page is ours, and has no scripts.
const options = ['--headless', '--no-sandbox', '--hide-scrollbars', `--window-size=${WIDTH},${height}`];
const picture = `--screenshot=${resolve(file)}`;
execFileSync('chromium', [...options, picture, join(folder, 'board.html')], { stdio: ['ignore', 'ignore', 'pipe'] });
rmSync(folder, { recursive: true });
