/** Drops what the setup and the tests made. */
export default async function tearDown(): Promise<void> {
  await globalThis.cleanUpDatabases?.();
}
