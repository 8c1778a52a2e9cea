import { type App, type Client, dataOf, failureOf, fieldsOf, startApp, type UserClient } from './app.js';

describe('searching the catalogue', () => {
  let app: App;
  let nobody: Client;
  let moderator: UserClient;
  beforeAll(async () => {
    app = await startApp();
    nobody = app.anonymous;
    moderator = await app.moderator();
    for (const [sku, name, description, more] of [
      ['DSK-OAK-160', 'Oak desk 160', 'With a cable tray under the top.', { price: 44_900 }],
      ['OFF-CHR-ERG', 'Ergonomic office chair', 'Sits well at any desk, be it of oak.', { price: 32_900 }],
      ['DSK-LMP-LED', 'Lamp', 'Desk, desk and desk again: a lamp for every desk. Made of oak, for an oak desk.', {}],
      ['KIT-CRM-BRU', 'Crème brûlée set', 'Six dishes and a torch.', { stock: 0, currency: 'CHF' }],
      ['KIT-MUG-STN', 'Stoneware mugs', 'Glazed by hand. 100 % safe in the dishwasher.', {}],
      ['KIT-TEA-001', 'Чайник', 'Для чая.', {}],
      ['DSK-OLD-001', 'Oak desk of yesterday', 'Gone.', { status: 'archived' }],
      ['HAW-001', 'Hawaiʻi shirt', '', {}],
      ['STM-001', 'Ceramic teapot', '', {}],
      ['STM-002', 'Beautiful leather wallet', '', {}],
      ['STM-003', 'Mechanical keyboard', '', {}],
      ['STM-004', 'Organic honey', '', {}],
      ['STM-005', 'Digital thermometer', '', {}],
      ['STM-006', 'Running shoes', '', {}],
      ['STM-007', 'Cutting board', '', {}],
      ['STM-008', 'Boxes', '', {}],
      ['STM-009', 'Painting', '', {}],
    ] as const)
      await app.product({ sku, name, description, ...more });
  });
  afterAll(() => app?.stop());

  const found = async (q: string, more = '', client: Client = nobody): Promise<string[]> =>
    dataOf(await client.get(`/products?q=${encodeURIComponent(q)}${more}`)).map(({ name }: any) => name);

  it('forgives a slip although something out of sight is spelt like that', async () => {
    await app.product({ sku: 'VEL-001', name: 'Velocipedium Grand', price: 500 });
    expect(await found('velocipeduim')).toEqual(['Velocipedium Grand']);
    const draft = await app.product({ sku: 'VEL-002', name: 'Velocipeduim prototype', price: 9000, status: 'draft' });
    for (const more of ['', '&sortBy=price', '&page=1', '&maxPrice=600'])
      expect(await found('velocipeduim', more)).toEqual(['Velocipedium Grand']);
    expect(await found('velocipeduim', '', moderator)).toEqual(['Velocipeduim prototype']);
    expect(await found('velocipeduim', '&status=active', moderator)).toEqual(['Velocipedium Grand']);
    dataOf(await moderator.patch(`/products/${draft.id}`, { name: 'Something else' }));
    expect(await found('velocipeduim grand')).toEqual(['Velocipedium Grand']);
  });

  it('drops none of many words', async () => {
    const many = 'alpha bravo charlie delta echo foxtrot golf hotel india juliett kilo lima';
    await app.product({ sku: 'ABC-001', name: 'Alphabet', description: many });
    expect(await found(many)).toEqual(['Alphabet']);
    expect(await found(`${many} zulu`)).toEqual([]);
  });

  it('finds all the words, wherever they are, and puts those in the name first', async () => {
    expect(await found('oak desk')).toEqual(['Oak desk 160', 'Lamp', 'Ergonomic office chair']);
    expect(await found('DESK oak')).toEqual(['Oak desk 160', 'Lamp', 'Ergonomic office chair']);
    expect(await found('oak torch')).toEqual([]);
    expect(await found('oak desk', '&sortOrder=asc')).toEqual(['Ergonomic office chair', 'Lamp', 'Oak desk 160']);
    expect(await found('oak desk', '&sortBy=relevance')).toEqual(await found('oak desk'));
  });

  it.each([
    // Their plain spelling has signs in it that mean something to a query.
    ['hawaiʻi', ['Hawaiʻi shirt']],
    ["hawaiʻi ' shirt", ['Hawaiʻi shirt']],
    ['oak \\ desk', ['Oak desk 160', 'Lamp', 'Ergonomic office chair']],
  ])('takes %s as it is', async (q, names) => {
    expect(await found(q)).toEqual(names);
  });

  it.each([
    ['chiar', 'Ergonomic office chair'],
    ['ergonomik', 'Ergonomic office chair'],
    ['ergonomc chair', 'Ergonomic office chair'],
    ['offfice', 'Ergonomic office chair'],
    ['stonewear', 'Stoneware mugs'],
    ['mgu', 'Stoneware mugs'],
    ['dishwahser', 'Stoneware mugs'],
    ['чайнкк', 'Чайник'],
  ])('takes %s for what it nearly is', async (q, name) => {
    expect(await found(q)).toEqual([name]);
  });

  it.each([
    ['cermaic teapot', 'Ceramic teapot'],
    ['ceramicc', 'Ceramic teapot'],
    ['ceraimc', 'Ceramic teapot'],
    ['beautifull', 'Beautiful leather wallet'],
    ['letaher', 'Beautiful leather wallet'],
    ['mechnical', 'Mechanical keyboard'],
    ['orgnic', 'Organic honey'],
    ['digtal', 'Digital thermometer'],
  ])('takes %s for what it nearly is, though their stems are not alike', async (q, name) => {
    expect(await found(q)).toEqual([name]);
  });

  it.each(['Running shoes', 'Cutting board', 'Boxes', 'Painting', 'Beautiful leather wallet'])(
    'finds %s whichever letter of its first word is missing, doubled, wrong, or changes places with the next',
    async (name) => {
      const [word = '', ...rest] = name.toLowerCase().split(' ');
      const letters = Array.from(word);
      const slips = letters.flatMap((letter, at) => {
        const [before, after] = [word.slice(0, at), word.slice(at + 1)];
        const swapped = `${before}${after.slice(0, 1)}${letter}${after.slice(1)}`;
        return [before + after, before + letter + letter + after, `${before}q${after}`, swapped];
      });
      const missed = [];
      for (const slip of new Set(slips))
        if (!(await found([slip, ...rest].join(' '))).includes(name)) missed.push(slip);
      expect(missed).toEqual([]);
    },
  );

  it.each([
    ['creme brulee', 'Crème brûlée set'],
    ['CRÈME BRÛLÉE', 'Crème brûlée set'],
    ['creme', 'Crème brûlée set'],
    ['ＣＲＥＭＥ', 'Crème brûlée set'],
    ['ЧАЙНИК', 'Чайник'],
    ['mug', 'Stoneware mugs'],
    ['dishes torches', 'Crème brûlée set'],
    ['ergo', 'Ergonomic office chair'],
    // Its stem is shorter.
    ['runn', 'Running shoes'],
    ['mechanicals', 'Mechanical keyboard'],
    ['KIT-CRM-BRU', 'Crème brûlée set'],
    ['kit-mug', 'Stoneware mugs'],
    ['off-chr-erg', 'Ergonomic office chair'],
    ['100%', 'Stoneware mugs'],
  ])('finds by %s, whatever case, accents, ending or hyphens', async (q, name) => {
    expect(await found(q)).toEqual([name]);
  });

  it('does not take one code for another, nor just anything for something', async () => {
    for (const q of ['KIT-TEA-002', '161', 'xyzzy', 'zzzzzzzz', 'q']) expect(await found(q)).toEqual([]);
  });

  it('goes together with all filters and sorts', async () => {
    expect(await found('desk', '&sortBy=price&sortOrder=asc')).toEqual([
      'Lamp',
      'Ergonomic office chair',
      'Oak desk 160',
    ]);
    expect(await found('desk', '&sortBy=name&sortOrder=desc')).toEqual([
      'Oak desk 160',
      'Lamp',
      'Ergonomic office chair',
    ]);
    expect(await found('desk', '&minPrice=40000')).toEqual(['Oak desk 160']);
    expect(await found('desk', '&maxPrice=40000')).toEqual(['Lamp', 'Ergonomic office chair']);
    expect(await found('creme', '&inStock=true')).toEqual([]);
    expect(await found('creme', '&inStock=false&currency=CHF')).toEqual(['Crème brûlée set']);
    expect(await found('creme', '&currency=EUR')).toEqual([]);
  });

  it('shows what is not on sale to moderators alone', async () => {
    expect(await found('yesterday')).toEqual([]);
    expect(await found('yesterday', '', moderator)).toEqual(['Oak desk of yesterday']);
    expect(await found('desk', '&status=archived', moderator)).toEqual(['Oak desk of yesterday']);
    expect(failureOf(await nobody.get('/products?q=desk&status=archived'))).toBe('403 FORBIDDEN');
  });

  it('follows what a product is called', async () => {
    const { id } = await app.product({ name: 'Zabaglione', sku: 'ZAB-1' });
    expect(await found('zabaglione')).toEqual(['Zabaglione']);
    dataOf(await moderator.patch(`/products/${id}`, { name: 'Tiramisu' }));
    expect(await found('zabaglione')).toEqual([]);
    expect(await found('tiramisú')).toEqual(['Tiramisu']);
    expect(await found('zab-1')).toEqual(['Tiramisu']);
  });

  it('by relevance takes something to be relevant to', async () => {
    for (const page of ['', '&page=1']) {
      const answer = await nobody.get(`/products?sortBy=relevance${page}`);
      expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
      expect(fieldsOf(answer)).toEqual(['sortBy']);
    }
    expect(fieldsOf(await nobody.get('/products?q='))).toEqual(['q']);
    expect(fieldsOf(await nobody.get(`/products?q=${'x'.repeat(201)}`))).toEqual(['q']);
  });

  it.each([
    ['operators', `oak & | ! <-> :* (desk`],
    ['quotes', `'"\\'' OR 1=1; --`],
    ['wildcards', '%_%'],
    ['punctuation', '!!! ... ---'],
    ['an emoji', '🪑'],
    ['a zero-width joiner', '\u200d'],
    ['many words', 'oak '.repeat(50)],
    ['many letters', 'a b c d e f g h i j k l m n o p q r s t u v w x y z'],
    ['one long word', 'x'.repeat(200)],
    ['one long word of others', 'ж'.repeat(200)],
    ['combining marks', 'e\u0301'.repeat(100)],
    ['a ligature that grows', '\ufdfa'.repeat(200)],
    ['a weight', 'oak:A'],
    ['the greatest number', '1e999 9223372036854775808'],
    ['blanks', ' \t\n '],
  ])('is not upset by %s', async (_, q) => {
    for (const more of ['', '&page=1', '&sortBy=price']) {
      const answer = await nobody.get(`/products?q=${encodeURIComponent(q)}${more}`);
      expect(answer.status).toBe(200);
    }
  });

  it.each(['%00', '%ED%A0%80', 'x%00y'])('is not upset by %s, which is no text', async (q) => {
    expect([200, 400, 422]).toContain((await nobody.get(`/products?q=${q}`)).status);
  });

  describe('page by page', () => {
    /** Everything that a walk sees, with something else happening before each next page. */
    const walk = async (query: string, between?: (page: number) => Promise<unknown>): Promise<string[]> => {
      const seen: string[] = [];
      for (let cursor: string | null = '', page = 1; cursor !== null; page++) {
        const answer = await nobody.get(`/products?${query}${cursor && `&cursor=${cursor}`}`);
        seen.push(...dataOf(answer).map(({ id }: any) => id));
        cursor = answer.body.meta.pagination.nextCursor;
        await between?.(page);
      }
      return seen;
    };
    const idsOf = async (where: string): Promise<string[]> =>
      (await app.sql(`SELECT id FROM products WHERE ${where} ORDER BY id`)).map(({ id }) => String(id));

    it.each([
      'q=gadget',
      'q=gadget&sortOrder=asc',
      'q=gagdet',
      'q=gadg',
      'q=gadget&sortBy=name&sortOrder=asc',
      'q=gadget&sortBy=price&sortOrder=desc',
    ])('%s sees every match once, though many rank the same and more are added', async (query) => {
      const names = ['Gadget', 'Gadget', 'Gadget', 'Big gadget', 'Thing', 'Thing', 'Thing'];
      for (const name of names) await app.product({ name, description: name === 'Thing' ? 'A gadget' : '' });
      const there = await idsOf(`words @@ 'gadget'`);
      const seen = await walk(`${query}&limit=2`, async (page) => {
        // Also words that a typo would be taken for, had they been there from the start.
        if (page > 4) return;
        await app.product({ name: ['Gadget', 'Gagdets', 'Gagdet', 'Gadg'][page - 1], description: 'gadget' });
      });
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.filter((id) => there.includes(id)).sort()).toEqual(there);
      await app.sql(`DELETE FROM products WHERE words @@ 'gadget | gagdet | gadg'`);
      await app.sql(`DELETE FROM product_words WHERE word LIKE 'ga%'`);
      await app.sql(`DELETE FROM product_spellings WHERE spelling LIKE 'ga%'`);
    });

    describe('where more match than are worth ranking', () => {
      beforeAll(async () => {
        await app.sql(
          `INSERT INTO products (id, sku, name, description, price, currency, stock, status, created_at, updated_at, version, sequence)
           SELECT gen_random_uuid(), 'BULK-' || n, CASE WHEN n % 100 = 0 THEN 'Widget' ELSE 'Bulk' END, 'A widget',
                  n, 'USD', 1, 'active', now(), now(), 1, 1
             FROM generate_series(1, 1100) AS n`,
        );
        await app.sql('ANALYZE products');
      });

      it.each(['desc', 'asc'])(
        'every match is seen once, those with the words in the name together, %s',
        async (order) => {
          const there = await idsOf(`words @@ 'widget'`);
          const named = await idsOf(`title_words @@ 'widget'`);
          const seen = await walk(`q=widget&limit=99&sortOrder=${order}`, () => app.product({ name: 'Widget' }));
          const old = seen.filter((id) => there.includes(id));
          expect([...old].sort()).toEqual(there);
          expect(new Set(seen).size).toBe(seen.length);
          const ends = order === 'desc' ? old.slice(0, named.length) : old.slice(-named.length);
          expect([...ends].sort()).toEqual(named);
        },
      );

      it('the filters and the numbered pages hold', async () => {
        expect(await found('widget', '&minPrice=100&maxPrice=300&limit=3&currency=USD')).toEqual([
          'Widget',
          'Widget',
          'Widget',
        ]);
        const answer = await nobody.get('/products?q=widget&currency=USD&page=11&limit=100');
        expect(dataOf(answer)).toHaveLength(100);
        expect(answer.body.meta.pagination).toMatchObject({ total: 1100, totalPages: 11, hasNext: false });
      });
    });
  });
});
