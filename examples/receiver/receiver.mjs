// Receives webhooks: PORT=4000 WEBHOOK_SECRET=whsec_… node examples/receiver/receiver.mjs
import { createServer } from 'node:http';
import { Webhook } from 'standardwebhooks';

const webhook = new Webhook(process.env.WEBHOOK_SECRET);
const seen = new Set(); // in earnest: a unique column of your database, written with the effect

createServer(async (request, response) => {
  const body = Buffer.concat(await request.toArray()).toString(); // the very bytes: parse them later
  const id = request.headers['webhook-id'];
  try {
    const { type, timestamp, data } = webhook.verify(body, request.headers);
    if (!seen.has(id)) console.log(JSON.stringify({ id, type, timestamp, data }));
    seen.add(id);
    response.writeHead(204).end(); // soon: within 15 s, and work on it afterwards
  } catch {
    response.writeHead(401).end(); // not from where it says, or too old
  }
}).listen(Number(process.env.PORT ?? 4000), process.env.HOST ?? '127.0.0.1', () => console.log('Listening'));
