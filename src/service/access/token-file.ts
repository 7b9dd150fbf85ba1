/**
 * The file of tokens: who may do what, and of each token only the hash. It is read whole and replaced
 * whole; who changes it holds a lock file meanwhile, so that no revocation is lost to another change.
 */
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { CairnError } from '../../errors.ts'
import { replaceFile } from '../../util/durable-file.ts'
import { systemCodeOf } from '../../util/system-error.ts'
import { isRight, type Right } from './rights.ts'

export interface TokenRecord {
  readonly id: string
  readonly name: string
  readonly right: Right
  /** The datasets that it is for; all of them unless given. */
  readonly datasets?: readonly string[]
  readonly created: string
  /** Of the token's text, in hex. */
  readonly sha256: string
}

const SCHEMA = 'cairn/tokens@v1'
const PREFIX = 'cairn_'
const SECRET_BYTES = 32
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'
const SHA256 = /^[0-9a-f]{64}$/

const LOCK_WAIT_MS = 5000
/** Whoever holds a lock for longer has died: a change takes milliseconds. */
const LOCK_STALE_MS = 15_000

export function hashToken(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

export function base32(bytes: Uint8Array): string {
  let text = ''
  let bits = 0
  let value = 0
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xffff
    for (bits += 8; bits >= 5; bits -= 5) text += ALPHABET[(value >>> (bits - 5)) & 31]
  }
  return bits > 0 ? text + ALPHABET[(value << (5 - bits)) & 31] : text
}

/** The records of the file's text. Whatever is not as it should be makes the whole file unusable. */
export function parseTokens(text: string, path: string): TokenRecord[] {
  const damaged = (cause?: unknown): CairnError =>
    new CairnError('config', `The file of tokens ${path} cannot be used.`, {
      hint: 'It is written by `cairn token create`. Move it away and make the tokens anew.',
      path,
      cause,
    })
  let file: unknown
  try {
    file = JSON.parse(text)
  } catch (cause) {
    throw damaged(cause)
  }
  const { schema, tokens } = (file ?? {}) as { schema?: unknown; tokens?: unknown }
  if (schema !== SCHEMA || !Array.isArray(tokens) || !tokens.every(isRecord)) throw damaged()
  return tokens
}

function isRecord(one: unknown): one is TokenRecord {
  if (typeof one !== 'object' || one === null) return false
  const { id, name, right, datasets, created, sha256 } = one as Record<string, unknown>
  const texts = [id, name, right, created, sha256]
  if (!texts.every((text) => typeof text === 'string')) return false
  const known = datasets === undefined || (Array.isArray(datasets) && datasets.every(isText))
  return known && isRight(String(right)) && SHA256.test(String(sha256))
}

const isText = (one: unknown): boolean => typeof one === 'string'

/** The records, none where there is no file. */
export async function readTokens(path: string): Promise<TokenRecord[]> {
  try {
    return parseTokens(await readFile(path, 'utf8'), path)
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return []
    throw error
  }
}

export interface NewToken {
  readonly name: string
  readonly right: Right
  readonly datasets?: readonly string[] | undefined
}

/** Makes a token. Its text is in the answer and nowhere else. */
export async function createToken(
  path: string,
  { name, right, datasets }: NewToken,
  now: () => number = Date.now,
): Promise<{ readonly token: string; readonly record: TokenRecord }> {
  const token = `${PREFIX}${base32(randomBytes(SECRET_BYTES))}`
  const record: TokenRecord = {
    id: base32(randomBytes(5)),
    name,
    right,
    ...(datasets === undefined ? {} : { datasets }),
    created: new Date(now()).toISOString(),
    sha256: hashToken(token).toString('hex'),
  }
  await change(path, (records) => {
    if (!records.some((one) => one.name === name)) return [...records, record]
    throw new CairnError('conflict', `There is a token named "${name}".`, {
      hint: 'Choose another name, or revoke that one first.',
    })
  })
  return { token, record }
}

/** Takes a token away, by its id or its name. */
export async function revokeToken(path: string, which: string): Promise<TokenRecord> {
  let revoked: TokenRecord | undefined
  await change(path, (records) => {
    revoked = records.find(({ id, name }) => id === which || name === which)
    return records.filter((one) => one !== revoked)
  })
  if (revoked !== undefined) return revoked
  throw new CairnError('not_found', `There is no token "${which.slice(0, 100)}".`, {
    hint: '`cairn token list` shows ids and names.',
  })
}

async function change(
  path: string,
  plan: (records: readonly TokenRecord[]) => readonly TokenRecord[],
): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await withLock(`${path}.lock`, async () => {
    const tokens = plan(await readTokens(path))
    const text = `${JSON.stringify({ schema: SCHEMA, tokens }, undefined, 2)}\n`
    // A death on the way leaves the file as it was.
    await replaceFile(path, `${path}.${base32(randomBytes(5))}.tmp`, (file) => file.writeFile(text))
  })
}

async function withLock(path: string, work: () => Promise<void>): Promise<void> {
  const until = Date.now() + LOCK_WAIT_MS
  while (!(await tryLock(path))) {
    if (Date.now() > until) throw locked(path)
    await delay(20)
  }
  try {
    await work()
  } finally {
    await rm(path, { force: true })
  }
}

async function tryLock(path: string): Promise<boolean> {
  try {
    await (await open(path, 'wx', 0o600)).close()
    return true
  } catch (error) {
    if (systemCodeOf(error) !== 'EEXIST') throw error
  }
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }))
  if (Date.now() - mtimeMs > LOCK_STALE_MS) await rm(path, { force: true })
  return false
}

function locked(path: string): CairnError {
  return new CairnError('busy', 'Another process changes the tokens.', {
    hint: `Try again. If none does, remove ${path}.`,
  })
}
