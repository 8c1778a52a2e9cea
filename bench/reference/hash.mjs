// What the hash alone allows: checks a password over and over, as many at once as Stoa does, and tells how often.
import { hash, verify } from '@node-rs/argon2';
import { HASHES_AT_ONCE } from '../../dist/src/modules/users/passwords.js';

const PASSWORD = 'Password-1';
const known = await hash(PASSWORD, { memoryCost: 19_456, timeCost: 2, parallelism: 1 });

process.on('message', async ({ seconds }) => {
  const began = performance.now();
  let count = 0;
  const check = async () => {
    for (; performance.now() - began < seconds * 1000; count++) await verify(known, PASSWORD);
  };
  await Promise.all(Array.from({ length: HASHES_AT_ONCE }, check));
  process.send({ rps: (count / (performance.now() - began)) * 1000 });
});
process.send('ready');
