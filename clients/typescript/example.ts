// Walks through a shop as a new customer: `npm run client:example -- http://127.0.0.1:3000`, against a running server.
import { createClient, list, StoaError } from './src/index.js';

const stoa = createClient({ baseUrl: process.argv[2] ?? 'http://127.0.0.1:3000' });

const registered = await stoa.POST('/api/v1/auth/register', {
  body: { email: `ann.${Date.now()}@example.com`, name: 'Ann Archer', password: 'Correct-Horse-7' },
});
if (registered.error !== undefined) throw new StoaError(registered.error, registered.response.status);
stoa.setTokens(registered.data.data);
console.log('Hello', registered.data.data.user.name);

const basket = [];
for await (const product of list(stoa, '/api/v1/products', { query: { inStock: true, sortBy: 'price', limit: 50 } })) {
  console.log(`${product.name}: ${(product.price / 100).toFixed(2)} ${product.currency}, ${product.stock} left`);
  if (basket.length === 0) basket.push({ productId: product.id, quantity: 1 });
}

const placed = await stoa.POST('/api/v1/orders', {
  params: { header: { 'Idempotency-Key': crypto.randomUUID() } },
  body: { items: basket, note: 'Please ring twice' },
});
if (placed.data !== undefined) console.log('Ordered', placed.data.data.number, placed.data.data.status);
else console.log('Refused', placed.error.error.code, placed.error.error.details);
