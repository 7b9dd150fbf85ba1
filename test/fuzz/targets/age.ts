/** age files and their keys. Whatever is done to a file: it opens to what was put into it, or not at all. */
import { readFileSync } from 'node:fs'
import { dearmor } from '../../../src/car/age-armor.ts'
import { decryptWith, isAge, readIdentities } from '../../../src/car/age.ts'
import { fixtureFiles } from '../golden.ts'
import { scratch } from '../scratch.ts'
import { demand, tokensOf, unlessRefusedLater, type Target } from '../target.ts'

const HELLO = 'A snapshot is the database.\n'
const fixture = (name: string): Buffer => readFileSync(`fixtures/age/${name}`)

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function gathered(parts: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const part of parts) all.push(Uint8Array.from(part))
  return Buffer.concat(all)
}

const keys = (text: Buffer): string[] =>
  text
    .toString()
    .split('\n')
    .filter((line) => line.startsWith('AGE-SECRET-KEY'))

const identities = (): string[] => keys(fixture('identity.txt'))

const age: Target = {
  name: 'age',
  covers: ['car/age.ts:decryptWith', 'car/age-payload.ts:openPayload', 'car/age-armor.ts:dearmor'],
  kind: 'bytes',
  maxBytes: 4096,
  mostMs: 1000,
  tokens: tokensOf(
    'age-encryption.org/v1\n',
    '-> X25519 ',
    '-> scrypt ',
    '\n---',
    '--- ',
    '\n',
    '\r\n',
    '-----BEGIN AGE ENCRYPTED FILE-----\n',
    '-----END AGE ENCRYPTED FILE-----',
    '=',
    '-> a b\n\n',
  ),
  seeds: () => [fixture('hello.age'), fixture('hello-armor.age')],
  async run(bytes) {
    const size = 1 + ((bytes.length * 13) % 400)
    const plain = await unlessRefusedLater(['invalid_car', 'access_denied'], async () =>
      gathered(await decryptWith(identities(), inPieces(bytes, size))),
    )
    if (plain === undefined) return
    demand(plain.toString() === HELLO, 'what opens is what was put in')
    demand(isAge(bytes), 'and it was known for an age file')
  },
}

const armor: Target = {
  name: 'age-armor',
  covers: ['car/age-armor.ts:dearmor'],
  kind: 'bytes',
  maxBytes: 4096,
  tokens: tokensOf(
    '\n',
    '\r\n',
    '=',
    '==',
    ' ',
    '-----END AGE ENCRYPTED FILE-----',
    '-----BEGIN AGE ENCRYPTED FILE-----',
    'A'.repeat(64),
  ),
  seeds: () => fixtureFiles('age', 'armor.age'),
  async run(bytes) {
    const size = 1 + ((bytes.length * 13) % 400)
    const open = (by: number): Promise<Buffer | undefined> =>
      unlessRefusedLater(['invalid_car'], () => gathered(dearmor(inPieces(bytes, by))))
    const [whole, parts] = [await open(bytes.length + 1), await open(size)]
    demand(
      (whole === undefined) === (parts === undefined),
      'it is read in whatever pieces it comes',
    )
    if (whole === undefined || parts === undefined) return
    demand(whole.equals(parts), 'and means the same')
    const body =
      Buffer.from(bytes).toString('latin1').split(/\r?\n/).slice(1).join('').split('-----')[0] ?? ''
    demand(whole.equals(Buffer.from(body, 'base64')), 'it is the base64 between the lines')
  },
}

const identityFile: Target = {
  name: 'age-identities',
  covers: ['car/age.ts:readIdentities'],
  kind: 'bytes',
  maxBytes: 70_000,
  mostMs: 1000,
  tokens: tokensOf(
    'AGE-SECRET-KEY-1',
    'AGE-SECRET-KEY-PQ-1',
    'AGE-PLUGIN-X-1',
    '# ',
    '\n',
    'x'.repeat(70_000),
  ),
  seeds: () => [fixture('identity.txt'), fixture('identity-post-quantum.txt')],
  async run(bytes) {
    const path = scratch.file('identity.txt', bytes)
    const found = await unlessRefusedLater(['usage'], () => readIdentities(path))
    if (found === undefined) return
    const known = [...identities(), ...keys(fixture('identity-post-quantum.txt'))]
    demand(found.length > 0, 'a file of keys has one')
    demand(
      found.every((one) => known.includes(one.toUpperCase())),
      'a key that is read has its check sum',
    )
  },
}

export const AGE_TARGETS: readonly Target[] = [age, armor, identityFile]
