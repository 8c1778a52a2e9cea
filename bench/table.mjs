// What is aimed at, and the table of it in docs/performance.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { format } from 'prettier';

const DOCUMENT = 'docs/performance.md';
const BEGIN = '<!-- results: made by `npm run bench -- --write` -->';
const END = '<!-- end of results -->';

/** At least so many times the rate of a reference. */
const rate = (what, work, least, reference = 'tuned') => ({
  what,
  goal: `≥ ${least} × ${reference}`,
  of: ({ works }) => works[work]?.ratios[reference]?.rps,
  show: (value) => `${value.toFixed(2)} ×`,
  isMet: (value) => value >= least,
});

const most = (what, limit, unit, of) => ({
  what,
  goal: `≤ ${limit}${unit}`,
  of: ({ works, checks }) => of(checks, works),
  show: (value) => `${value}${unit}`,
  isMet: (value) => value <= limit,
});

const GOALS = [
  rate('GET /orders/:id, 3 items', 'orders-get', 1.3),
  rate('GET /orders/:id, 3 items', 'orders-get', 10, 'orm'),
  rate('GET /products/:id', 'products-get', 1.3),
  rate('GET /orders?limit=20', 'orders-list', 1),
  rate('GET /products?q=… of 100,000 products', 'products-search', 0.9),
  rate('POST /orders, 3 of 300 products', 'orders-post', 0.9),
  rate('POST /orders, 3 of 300 products', 'orders-post', 2, 'typical'),
  rate('POST /orders, 3 of 300 products', 'orders-post', 5, 'orm'),
  {
    what: 'POST /orders, 3 of 20 products',
    goal: '≥ 0.75 × that of 300 products',
    of: ({ works }) => works['orders-post-hot']?.servers.stoa.rps / works['orders-post']?.servers.stoa.rps || undefined,
    show: (value) => `${value.toFixed(2)} ×`,
    isMet: (value) => value >= 0.75,
  },
  rate('POST /transfers among 1,000 accounts', 'transfers', 0.9),
  rate('POST /auth/refresh', 'refresh', 0.9),
  {
    what: 'POST /auth/login',
    goal: '≥ 0.9 of what the hash alone allows',
    of: ({ checks }) => checks.login?.ofTheHash,
    show: (value) => value.toFixed(2),
    isMet: (value) => value >= 0.9,
  },
  most('p99 of GET /orders/:id while logins saturate', 1.5, ' × that without', ({ login }) => login?.p99Ratio),
  most('p99 at half of the highest load, the worst of all', 2, ' × tuned', (_, works) => {
    const ratios = Object.values(works).flatMap(({ halfLoad }) => halfLoad?.ratio ?? []);
    return ratios.length > 0 ? Math.max(...ratios) : undefined;
  }),
  most('a page after 1,000,000 rows', 1.15, ' × the first', ({ depth }) => depth?.ratio),
  {
    what: 'its plan by EXPLAIN',
    goal: 'the same',
    of: ({ checks }) => checks.depth?.samePlan,
    show: (value) => (value ? 'the same' : 'another'),
    isMet: (value) => value,
  },
  most('memory, warm', 200, ' MiB', ({ memory }) => memory?.last),
  most('start to ready', 1000, ' ms', ({ start }) => start?.stoa),
  most('start to ready', 3, ' × tuned', ({ start }) => start?.ratio),
  most('production install', 120, ' MiB', ({ install }) => install?.size),
  most('production install', 300, ' packages', ({ install }) => install?.packages),
];

/** Those that were measured. */
export function goals(results) {
  return GOALS.flatMap(({ what, goal, of, show, isMet }) => {
    const value = of(results);
    return value === undefined ? [] : [{ what, goal, measured: show(value), isMet: isMet(value) }];
  });
}

/** Writes the results of a full run where the document has its table. */
export async function intoDocument(results) {
  const summary = [
    '| | goal | measured |',
    '| --- | --- | --- |',
    ...goals(results).map(
      ({ what, goal, measured, isMet }) => `| ${what} | ${goal} | ${measured}${isMet ? '' : ' (missed)'} |`,
    ),
  ];
  const details = [
    '| | server | requests/s | p50 ms | p99 ms | CPU µs | PostgreSQL µs | Redis µs |',
    '| --- | --- | --: | --: | --: | --: | --: | --: |',
    ...Object.entries(results.works).flatMap(([work, { servers }]) =>
      Object.entries(servers).map(([name, { rps, p50, p99, cpu, cpuPostgres, cpuRedis }]) => {
        const figures = [rps, p50, p99, cpu, cpuPostgres, cpuRedis].map((value, index) =>
          value.toFixed([1, 2].includes(index) ? 1 : 0),
        );
        return `| ${work} | ${name} | ${figures.join(' | ')} |`;
      }),
    ),
  ];
  const document = readFileSync(DOCUMENT, 'utf8');
  const table = [BEGIN, '', results.machine, '', ...summary, '', ...details, '', END].join('\n');
  const [before] = document.split(BEGIN);
  const [, after] = document.split(END);
  writeFileSync(DOCUMENT, await format(before + table + after, { parser: 'markdown', printWidth: 120 }));
}
