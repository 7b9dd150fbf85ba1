import { createCipheriv } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import {
  armor,
  Decrypter,
  Encrypter,
  generateX25519Identity,
  identityToRecipient,
} from 'age-encryption'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openPayload, sealPayload } from '../../src/car/age-payload.ts'
import { decryptWith, encryptTo, isAge, readIdentities } from '../../src/car/age.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures/age/', import.meta.url))
const PIECE = 64 * 1024
const SEALED_PIECE = PIECE + 16

let identity: string
let recipient: string
let folder: string

beforeAll(async () => {
  identity = await generateX25519Identity()
  recipient = await identityToRecipient(identity)
  folder = await mkdtemp(join(tmpdir(), 'cairn-age-'))
})

afterAll(() => rm(folder, { recursive: true, force: true }))

/** The bytes in parts of a size, remembering how many were asked for and whether they were let go. */
class Source implements AsyncIterable<Uint8Array> {
  given = 0
  closed = false
  readonly #bytes: Uint8Array
  readonly #partSize: number

  constructor(bytes: Uint8Array, partSize = 10_000) {
    this.#bytes = bytes
    this.#partSize = partSize
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (let at = 0; at < this.#bytes.length; at += this.#partSize) {
        this.given += 1
        yield this.#bytes.subarray(at, at + this.#partSize)
      }
    } finally {
      this.closed = true
    }
  }
}

async function collect(parts: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const part of parts) all.push(part)
  return Buffer.concat(all)
}

const encrypted = async (plain: Uint8Array, partSize?: number): Promise<Buffer> =>
  collect(await encryptTo([recipient], new Source(plain, partSize)))

const decrypted = async (
  cipher: Uint8Array,
  partSize?: number,
  identities: readonly string[] = [identity],
): Promise<Buffer> => collect(await decryptWith(identities, new Source(cipher, partSize)))

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  return error instanceof Error && 'code' in error ? error.code : error
}

function patterned(size: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: size }, (_, i) => 31 * i + (i >> 8)))
}

describe('files of the age tool', () => {
  const fixture = (name: string): Promise<Buffer> => readFile(join(FIXTURES, name))

  test.each([
    ['hello.age', 'identity.txt'],
    ['hello-armor.age', 'identity.txt'],
    ['hello-post-quantum.age', 'identity-post-quantum.txt'],
  ])('%s is decrypted with %s', async (name, keys) => {
    const identities = await readIdentities(join(FIXTURES, keys))
    const file = await fixture(name)
    expect(isAge(file)).toBe(true)
    for (const partSize of [1, 7, 100_000]) {
      const plain = await decrypted(file, partSize, identities)
      expect(plain.toString()).toBe('A snapshot is the database.\n')
    }
  })

  test('one of two pieces is decrypted', async () => {
    const identities = await readIdentities(join(FIXTURES, 'identity.txt'))
    const plain = await decrypted(await fixture('two-pieces.age'), 1000, identities)
    expect(plain.equals(patterned(65_636))).toBe(true)
  })
})

describe('against the library as a second implementation', () => {
  const plains = fc
    .oneof(
      fc.nat({ max: 300 }),
      fc
        .tuple(fc.constantFrom(PIECE, 2 * PIECE, SEALED_PIECE), fc.integer({ min: -2, max: 2 }))
        .map(([near, off]) => near + off),
      fc.nat({ max: 3 * PIECE }),
    )
    .map(patterned)
  const partSizes = fc.constantFrom(61, 1000, PIECE, SEALED_PIECE, 1 << 20)

  test('what is encrypted here is decrypted there and here', async () => {
    await fc.assert(
      fc.asyncProperty(plains, partSizes, async (plain, partSize) => {
        const file = await encrypted(plain, partSize)
        expect(isAge(file)).toBe(true)
        const decrypter = new Decrypter()
        decrypter.addIdentity(identity)
        expect(plain.equals(await decrypter.decrypt(file))).toBe(true)
        expect(plain.equals(await decrypted(file, partSize))).toBe(true)
      }),
      { numRuns: 60 },
    )
  })

  test('what is encrypted there, as bytes or text, is decrypted here', async () => {
    await fc.assert(
      fc.asyncProperty(plains, partSizes, async (plain, partSize) => {
        const encrypter = new Encrypter()
        encrypter.addRecipient(recipient)
        const file = await encrypter.encrypt(plain)
        expect(plain.equals(await decrypted(file, partSize))).toBe(true)
        const text = armor.encode(file)
        for (const form of [text, text.replaceAll('\n', '\r\n'), text.trim()]) {
          expect(isAge(Buffer.from(form))).toBe(true)
          expect(plain.equals(await decrypted(Buffer.from(form), partSize))).toBe(true)
        }
      }),
      { numRuns: 40 },
    )
  })
})

describe('damage', () => {
  const damaged = (file: Uint8Array): Promise<unknown> => codeOf(decrypted(file))

  test('a file cut off anywhere is damaged', async () => {
    const file = await encrypted(Buffer.from('short'))
    for (let size = 0; size < file.length; size += 1) {
      expect([size, await damaged(file.subarray(0, size))]).toEqual([size, 'invalid_car'])
    }
  })

  test('a file with a bit flipped anywhere is not decrypted', async () => {
    const file = await encrypted(Buffer.from('short'))
    const seen = new Set<unknown>()
    for (let at = 0; at < file.length; at += 1) {
      const altered = Buffer.from(file)
      altered[at] = (altered[at] ?? 0) ^ 1
      seen.add(await damaged(altered))
    }
    // A stanza that was altered cannot be told from one for somebody else.
    expect(seen).toEqual(new Set(['invalid_car', 'access_denied']))
  })

  test('pieces cut off, dropped, swapped, doubled or added are noticed', async () => {
    const plain = patterned(3 * PIECE)
    const file = await encrypted(plain)
    const start = file.length - 3 * SEALED_PIECE
    const head = file.subarray(0, start)
    const [a, b, c] = [0, 1, 2].map((index) =>
      file.subarray(start + index * SEALED_PIECE, start + (index + 1) * SEALED_PIECE),
    ) as [Buffer, Buffer, Buffer]
    expect(plain.equals(await decrypted(Buffer.concat([head, a, b, c])))).toBe(true)
    const wrong = [
      [],
      [a],
      [a, b],
      [b, c],
      [a, c],
      [b, a, c],
      [a, b, b, c],
      [a, b, c, c],
      [a, b, c, Buffer.alloc(1)],
      [a, b, c, Buffer.alloc(16)],
      [a, b, c.subarray(0, 15)],
    ]
    for (const [index, parts] of wrong.entries()) {
      expect([index, await damaged(Buffer.concat([head, ...parts]))]).toEqual([
        index,
        'invalid_car',
      ])
    }
  })

  test('an empty piece behind a full one is damage, although its seal is right', async () => {
    const key = new Uint8Array(32)
    const two = await collect(sealPayload(key, new Source(patterned(PIECE + 1))))
    const full = two.subarray(0, SEALED_PIECE)
    const nonce = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1])
    const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 })
    cipher.final()
    const sealed = Buffer.concat([full, cipher.getAuthTag()])
    expect(await codeOf(collect(openPayload(key, new Source(sealed))))).toBe('invalid_car')
  })

  test('of a file that is cut off, the pieces before are given and the end is an error', async () => {
    const file = await encrypted(patterned(2 * PIECE))
    let given = 0
    const read = async (): Promise<void> => {
      const cut = new Source(file.subarray(0, file.length - SEALED_PIECE + 100))
      for await (const part of await decryptWith([identity], cut)) given += part.length
    }
    expect(await codeOf(read())).toBe('invalid_car')
    expect(given).toBe(PIECE)
  })

  test('text that is not as armor must be is damaged', async () => {
    const encrypter = new Encrypter()
    encrypter.addRecipient(recipient)
    const text = armor.encode(await encrypter.encrypt(patterned(150)))
    const lines = text.trim().split('\n')
    const wrong = [
      lines.slice(0, -1).join('\n'),
      [...lines, 'more'].join('\n'),
      [...lines.slice(0, 2), '', ...lines.slice(2)].join('\n'),
      [...lines.slice(0, 2), lines[2]?.slice(0, 32), lines[2]?.slice(32), ...lines.slice(3)].join(
        '\n',
      ),
      [...lines.slice(0, -3), `${lines.at(-3)}${lines.at(-2)}`, lines.at(-1)].join('\n'),
      [...lines.slice(0, -2), lines.at(-2)?.slice(0, 4), lines.at(-2)?.slice(4), lines.at(-1)].join(
        '\n',
      ),
      text.replace('YWdl', 'YW*l'),
      text.replace('=\n', '\n'),
      text.replace('=\n', '==\n'),
      // The two bits that the padding leaves over are not zero.
      text.replace(
        /(.)=\n/,
        (_, last: string) => `${String.fromCharCode(last.charCodeAt(0) + 1)}=\n`,
      ),
      `${lines[0]}x\n${lines.slice(1).join('\n')}`,
    ]
    for (const [index, form] of wrong.entries()) {
      expect([index, await damaged(Buffer.from(form))]).toEqual([index, 'invalid_car'])
    }
  })

  test('a file that is not encrypted says so', async () => {
    expect(isAge(Buffer.from('a plain file'))).toBe(false)
    expect(isAge(new Uint8Array(0))).toBe(false)
    await expect(decrypted(Buffer.from('a plain file, long enough to look at'))).rejects.toThrow(
      /not encrypted with age/,
    )
  })

  test('a header or a line without end is refused after a bounded part of it', async () => {
    const starts = ['age-encryption.org/v1\n-> X ', '-----BEGIN AGE ENCRYPTED FILE-----\n']
    for (const start of starts) {
      const endless = Buffer.concat([Buffer.from(start), Buffer.alloc(1_000_000, 'A')])
      const source = new Source(endless, 1000)
      expect(await codeOf(decryptWith([identity], source))).toBe('invalid_car')
      expect(source.given).toBeLessThan(70)
      expect(source.closed).toBe(true)
    }
  })
})

describe('keys', () => {
  test('each of several recipients can decrypt, with one fitting key among others', async () => {
    const second = await generateX25519Identity()
    const stranger = await generateX25519Identity()
    const recipients = [recipient, await identityToRecipient(second)]
    const file = await collect(await encryptTo(recipients, new Source(Buffer.from('both'))))
    for (const own of [identity, second]) {
      expect((await decrypted(file, 100, [stranger, own])).toString()).toBe('both')
    }
  })

  test('a key of somebody else is denied', async () => {
    const source = new Source(await encrypted(Buffer.from('secret')))
    const work = decryptWith([await generateX25519Identity()], source)
    await expect(work).rejects.toMatchObject({
      code: 'access_denied',
      hint: expect.stringMatching(/recipients/) as unknown,
    })
    expect(source.closed).toBe(true)
  })

  test('a file with a passphrase is denied, and the hint says why', async () => {
    const encrypter = new Encrypter()
    encrypter.setScryptWorkFactor(2)
    encrypter.setPassphrase('correct horse')
    await expect(decrypted(await encrypter.encrypt('secret'))).rejects.toMatchObject({
      code: 'access_denied',
      hint: expect.stringMatching(/passphrase/) as unknown,
    })
  })

  test('what is no recipient is refused before anything is read, and not shown', async () => {
    const mistyped = `${recipient.slice(0, -1)}${recipient.endsWith('q') ? 'p' : 'q'}`
    for (const wrong of [[], [''], ['ssh-ed25519 AAAA'], [recipient, identity], [mistyped]]) {
      const source = new Source(Buffer.from('x'))
      const error: unknown = await encryptTo(wrong, source).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'usage' })
      expect(inspect(error, { depth: 5 })).not.toContain(identity)
      expect(source.given).toBe(0)
    }
  })

  test('more recipients than a header may have are refused', async () => {
    const [key = ''] = await readIdentities(join(FIXTURES, 'identity-post-quantum.txt'))
    const many = Array.from<string>({ length: 45 }).fill(await identityToRecipient(key))
    expect(await codeOf(encryptTo(many, new Source(Buffer.from('x'))))).toBe('usage')
  })

  test('what is no identity is refused, and not shown', async () => {
    const file = await encrypted(Buffer.from('x'))
    const mistyped = `${identity.slice(0, -1)}${identity.endsWith('Q') ? 'P' : 'Q'}`
    for (const wrong of [[], [''], [recipient], [identity, mistyped], [identity.slice(0, -4)]]) {
      const error: unknown = await decrypted(file, 100, wrong).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'usage' })
      expect(inspect(error, { depth: 5 })).not.toContain(identity.slice(20, -4))
    }
  })
})

describe('a file of identities', () => {
  const written = async (text: string): Promise<string> => {
    const path = join(folder, 'identities.txt')
    await writeFile(path, text)
    return path
  }

  test('has one key a line, comments and blank lines', async () => {
    const second = await generateX25519Identity()
    const path = await written(`# mine\r\n\r\n${identity}\r\n  # other\n\n ${second} `)
    expect(await readIdentities(path)).toEqual([identity, second])
  })

  test('that is not right is refused with the line, and no key is shown', async () => {
    const mistyped = `${identity.slice(0, -1)}${identity.endsWith('Q') ? 'P' : 'Q'}`
    const path = await written(`# mine\n${identity}\n${mistyped}\n`)
    const error: unknown = await readIdentities(path).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'usage', details: { line: 3, path } })
    expect(inspect(error, { depth: 5 })).not.toContain(identity.slice(20, -4))
  })

  test('that is larger than any needs to be is refused', async () => {
    const path = await written(`${identity}\n#${'x'.repeat(70_000)}\n`)
    await expect(readIdentities(path)).rejects.toThrow(/too large/)
  })

  test.each(['', '# only a comment\n', 'age1notasecret\n'])(
    'without a key is refused (%#)',
    async (text) => {
      expect(await codeOf(readIdentities(await written(text)))).toBe('usage')
    },
  )

  test('that is not there, or is a folder, or has no end, is refused', async () => {
    expect(await codeOf(readIdentities(join(folder, 'absent')))).toBe('usage')
    expect(await codeOf(readIdentities(folder))).toBe('usage')
    expect(await codeOf(readIdentities('/dev/zero'))).toBe('usage')
  })
})

describe('streams', () => {
  /** Takes everything slowly; the most parts that were ever read ahead of what was given on. */
  async function mostAhead(source: Source, parts: AsyncIterable<Uint8Array>): Promise<number> {
    let most = 0
    let bytes = 0
    for await (const part of parts) {
      bytes += part.length
      await new Promise((resolve) => setImmediate(resolve))
      most = Math.max(most, source.given - bytes / PIECE)
    }
    return most
  }

  test('nothing is read before it is asked for, and little ahead of it', async () => {
    const plain = patterned(100 * PIECE)
    const toSeal = new Source(plain, PIECE)
    const sealed = await encryptTo([recipient], toSeal)
    expect(toSeal.given).toBe(0)
    expect(await mostAhead(toSeal, sealed)).toBeLessThan(3)
    const toOpen = new Source(await encrypted(plain), PIECE)
    expect(await mostAhead(toOpen, await decryptWith([identity], toOpen))).toBeLessThan(3)
  })

  test('an end in the middle lets the source go', async () => {
    const plain = patterned(10 * PIECE)
    const toSeal = new Source(plain)
    for await (const part of await encryptTo([recipient], toSeal)) if (part.length > PIECE) break
    expect(toSeal).toMatchObject({ closed: true })
    const toOpen = new Source(await encrypted(plain))
    for await (const part of await decryptWith([identity], toOpen)) if (part.length > 0) break
    expect(toOpen).toMatchObject({ closed: true })
    expect(toOpen.given).toBeLessThan(20)
  })

  test('an error of the source comes through as it is', async () => {
    const broken = new Error('the disk is gone')
    async function* failing(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
      yield bytes
      throw broken
    }
    const file = await encrypted(patterned(100))
    await expect(encryptTo([recipient], failing(file)).then(collect)).rejects.toBe(broken)
    for (const size of [10, 100, file.length]) {
      const source = failing(file.subarray(0, size))
      await expect(decryptWith([identity], source).then(collect)).rejects.toBe(broken)
    }
  })
})
