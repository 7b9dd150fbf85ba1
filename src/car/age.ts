/**
 * Encryption of CARs with age (age-encryption.org/v1), to and from any other tool that speaks it. The
 * library makes and opens headers; the payload is `age-payload.ts`'s. No secret key stands in any
 * error, neither in its text nor in its cause.
 */
import { randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import { Decrypter, Encrypter, type Identity, type Stanza } from 'age-encryption'
import { CairnError } from '../errors.ts'
import { ARMOR_START, dearmor } from './age-armor.ts'
import {
  damagedFile,
  openPayload,
  payloadKey,
  SALT_BYTES,
  sealPayload,
  TAG_BYTES,
} from './age-payload.ts'
import { AgeSource, isBinaryAge, MAX_HEADER_BYTES, startsWith } from './age-source.ts'

const MAX_IDENTITY_FILE_BYTES = 64 * 1024

/** Whether a file that begins so is encrypted with age, in its binary form or as text. */
export function isAge(firstBytes: Uint8Array): boolean {
  return isBinaryAge(firstBytes) || startsWith(firstBytes, ARMOR_START)
}

/** Encrypts to all of the recipients (`age1...`): the identity of any one of them decrypts. */
export async function encryptTo(
  recipients: readonly string[],
  plain: AsyncIterable<Uint8Array>,
): Promise<AsyncIterable<Uint8Array>> {
  const { header, fileKey } = await newHeader(recipients)
  const salt = randomBytes(SALT_BYTES)
  return (async function* () {
    yield Buffer.concat([header, salt])
    yield* sealPayload(payloadKey(fileKey, salt), plain)
  })()
}

/**
 * Decrypts with whichever of the identities (`AGE-SECRET-KEY-1...`) fits. What was read before an error
 * is genuine, but nothing may rely on it: only the regular end says that the file is whole. What is
 * returned must be read or ended, else the source stays open.
 */
export async function decryptWith(
  identities: readonly string[],
  cipher: AsyncIterable<Uint8Array>,
): Promise<AsyncIterable<Uint8Array>> {
  const decrypter = decrypterWith(identities)
  let source = new AgeSource(cipher)
  try {
    if (await source.startsWith(ARMOR_START)) source = new AgeSource(dearmor(source.rest()))
    const fileKey = await openHeader(decrypter, await source.takeHeader())
    const key = payloadKey(fileKey, await source.take(SALT_BYTES))
    return openPayload(key, source.rest())
  } catch (error) {
    await source.close()
    throw error
  }
}

/** The secret keys in a file as `age-keygen` makes it: one a line, with comments and blank lines. */
export async function readIdentities(path: string): Promise<string[]> {
  const lines = (await readIdentityFile(path)).split('\n').map((line) => line.trim())
  const identities: string[] = []
  for (const [index, line] of lines.entries()) {
    if (line === '' || line.startsWith('#')) continue
    if (!isIdentity(line)) {
      throw new CairnError('usage', `Line ${index + 1} of ${path} is not an age secret key.`, {
        hint: 'Give a file made by age-keygen, not encrypted itself; plugins are not supported.',
        path,
        line: index + 1,
      })
    }
    identities.push(line)
  }
  if (identities.length > 0) return identities
  throw new CairnError('usage', `The file ${path} holds no age secret key.`, {
    hint: 'Make one with age-keygen.',
    path,
  })
}

interface NewHeader {
  readonly header: Uint8Array
  readonly fileKey: Uint8Array
}

/**
 * The library encrypts an empty file, of which only the header is used: a recipient of ours, which adds
 * nothing to it, learns the file key.
 */
async function newHeader(recipients: readonly string[]): Promise<NewHeader> {
  const encrypter = new Encrypter()
  if (recipients.length === 0) throw badRecipient('No recipient is given to encrypt to.')
  for (const [index, recipient] of recipients.entries()) {
    if (!addsRecipient(encrypter, recipient)) {
      throw badRecipient(`Recipient ${index + 1} of ${recipients.length} is not an age public key.`)
    }
  }
  let fileKey = new Uint8Array(0)
  encrypter.addRecipient({
    wrapFileKey: (key) => {
      fileKey = Uint8Array.from(key)
      return []
    },
  })
  const empty = await encrypter.encrypt(new Uint8Array(0)).catch(() => {
    throw badRecipient('A recipient looks like an age public key but cannot be encrypted to.')
  })
  const header = empty.subarray(0, empty.length - SALT_BYTES - TAG_BYTES)
  if (header.length <= MAX_HEADER_BYTES) return { header, fileKey }
  throw badRecipient(`${recipients.length} recipients are too many for one file.`)
}

/** The text of a recipient stays out: it may be a secret key, given by mistake. */
function badRecipient(message: string): CairnError {
  return new CairnError('usage', message, {
    hint: 'Give public keys, which begin with age1; age-keygen -y prints the one of a secret key.',
  })
}

function addsRecipient(encrypter: Encrypter, recipient: string): boolean {
  try {
    encrypter.addRecipient(recipient)
    return true
  } catch {
    return false
  }
}

function decrypterWith(identities: readonly string[]): Decrypter {
  const hint = 'Give the file of secret keys that belongs to a recipient of the backup.'
  if (identities.length === 0) {
    throw new CairnError('usage', 'No identity is given to decrypt with.', { hint })
  }
  const decrypter = new Decrypter()
  for (const [index, identity] of identities.entries()) {
    if (!addsIdentity(decrypter, identity)) {
      const which = `Identity ${index + 1} of ${identities.length}`
      throw new CairnError('usage', `${which} is not an age secret key.`, { hint })
    }
  }
  return decrypter
}

const isIdentity = (text: string): boolean => addsIdentity(new Decrypter(), text)

/** The library's own error is dropped, since it can hold the key. */
function addsIdentity(decrypter: Decrypter, identity: string): boolean {
  try {
    decrypter.addIdentity(identity)
    return true
  } catch {
    return false
  }
}

/** The file key. A last identity of ours, which fits nothing, learns that no other fitted. */
async function openHeader(decrypter: Decrypter, header: Uint8Array): Promise<Uint8Array> {
  let refused: CairnError | undefined
  const last: Identity = {
    unwrapFileKey: (stanzas) => {
      refused = noneFits(stanzas)
      return null
    },
  }
  decrypter.addIdentity(last)
  try {
    return await decrypter.decryptHeader(header)
  } catch (cause) {
    throw refused ?? damagedFile(cause)
  }
}

function noneFits(stanzas: readonly Stanza[]): CairnError {
  const withPassphrase = stanzas.some(({ args }) => args[0] === 'scrypt')
  return new CairnError('access_denied', 'None of the identities can decrypt the file.', {
    hint: withPassphrase
      ? 'It is encrypted with a passphrase: decrypt it with the age tool first.'
      : 'Give the secret key of one of the recipients that it was encrypted to.',
  })
}

async function readIdentityFile(path: string): Promise<string> {
  const bytes = Buffer.alloc(MAX_IDENTITY_FILE_BYTES + 1)
  let used = 0
  try {
    await using handle = await open(path)
    for (;;) {
      const { bytesRead } = await handle.read(bytes, used, bytes.length - used)
      used += bytesRead
      if (bytesRead === 0) break
    }
  } catch (cause) {
    throw unreadable(cause, path)
  }
  if (used <= MAX_IDENTITY_FILE_BYTES) return bytes.toString('utf8', 0, used)
  throw new CairnError('usage', `The file ${path} is too large for a file of age secret keys.`, {
    hint: 'Check the path.',
    path,
  })
}

function unreadable(cause: unknown, path: string): CairnError {
  const message = `The file of secret keys ${path} cannot be read.`
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'EACCES' || code === 'EPERM') {
    const hint = 'Check who may use it, or run as its owner.'
    return new CairnError('access_denied', message, { hint, path, cause })
  }
  return new CairnError('usage', message, { hint: 'Check the path.', path, cause })
}
