import { createCipheriv, createDecipheriv, hash, hkdfSync, randomBytes } from 'node:crypto';

const ALGORITHM = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;

export class NotOpenable extends Error {
  constructor() {
    super('It was sealed with a key that is not known any more');
  }
}

interface SealingKey {
  id: string;
  key: Buffer;
}

/**
 * Keeps secrets from whoever gets to read the database. The id of the key stands beside what it has sealed, so that keys
 * can be changed: the first seals, and all of them open.
 */
export class SecretBox {
  private readonly current: SealingKey;
  private readonly keys: ReadonlyMap<string, SealingKey>;

  /**
   * @param purpose what is sealed: nothing that was sealed for another can be opened
   * @param materials secrets from which the keys are derived, the current one first
   */
  constructor(purpose: string, [current, ...previous]: readonly [string | Buffer, ...(string | Buffer)[]]) {
    this.current = derive(current, purpose);
    const former = previous.map((material) => derive(material, purpose));
    this.keys = new Map([...former, this.current].map((key) => [key.id, key]));
  }

  /** @param owner of which row it is: no other opens it */
  seal(secret: string, owner: string): string {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.current.key, iv).setAAD(Buffer.from(owner));
    const sealed = Buffer.concat([iv, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return `${this.current.id}.${sealed.toString('base64url')}`;
  }

  /** @throws NotOpenable */
  open(sealed: string, owner: string): string {
    const [id = '', text = ''] = sealed.split('.');
    const key = this.keys.get(id)?.key;
    if (key === undefined) throw new NotOpenable();
    const bytes = Buffer.from(text, 'base64url');
    const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES })
      .setAAD(Buffer.from(owner))
      .setAuthTag(bytes.subarray(-TAG_BYTES));
    try {
      return decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
    } catch {
      throw new NotOpenable();
    }
  }

  /** Whether the key is one that is still known. */
  knows(sealed: string): boolean {
    return this.keys.has(idOf(sealed));
  }

  isCurrent(sealed: string): boolean {
    return idOf(sealed) === this.current.id;
  }
}

const idOf = (sealed: string): string => sealed.split('.', 1)[0] ?? '';

function derive(material: string | Buffer, purpose: string): SealingKey {
  const key = Buffer.from(hkdfSync('sha256', material, '', purpose, 32));
  return { id: hash('sha256', key, 'hex').slice(0, 8), key };
}
