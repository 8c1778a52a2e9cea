// What the hash alone allows: checks a password over and over, as many at once as Stoa does, and tells how often.
import { hash, verify } from '@node-rs/argon2';

const AT_ONCE = 2;
const PASSWORD = 'Password-1';
const known = await hash(PASSWORD, { memoryCost: 19_456, timeCost: 2, parallelism: 1 });

process.on('message', async ({ seconds }) => {
  const began = performance.now();
  let count = 0;
  const check = async () => {
    for (; performance.now() - began < seconds * 1000; count++) await verify(known, PASSWORD);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, check));
  process.send({ rps: (count / (performance.now() - began)) * 1000 });
});
process.send('ready');
