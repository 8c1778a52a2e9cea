import { serve } from './orm.ts';

const { DATABASE_URL: url, JWT_SECRET: secret, PORT, DATABASE_POOL_MAX = '10' } = process.env;
await serve({ url, secret, port: Number(PORT), poolSize: Number(DATABASE_POOL_MAX) });
