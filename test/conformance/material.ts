/** What the contract's tests are made of: blocks, commits, and how they are looked at. */
import { encode } from '@ipld/dag-cbor'
import { createHash, randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import { isCairnError } from '../../src/errors.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { cborBlock, rawCidOf } from '../../src/model/cid.ts'
import type { Block, CidBytes } from '../../src/model/cid.ts'
import type { Backend, CommitRequest, HeldBlock } from '../../src/store/backend.ts'

export interface OpenedBackend {
  readonly backend: Backend
  /** Closes what is open and opens the same store again, as after a restart. */
  readonly reopen?: () => Promise<Backend>
  /** The same store opened once more beside `backend`, as by another process. */
  readonly second?: () => Promise<Backend>
  /** Changes the bytes of a block behind the store's back; not where any bytes can be staged. */
  readonly corrupt?: (cid: CidBytes) => Promise<void>
  dispose(): Promise<void>
}

export type Start = () => Promise<OpenedBackend>

/** A CBOR byte string of random bytes, so that every backend takes it for the DAG-CBOR it says it is. */
export function block(size: number): HeldBlock {
  return { ...cborBlock(encode(new Uint8Array(randomBytes(size)))), hold: 'self' }
}

export function rawBlock(bytes: Uint8Array): HeldBlock {
  return { cid: rawCidOf(bytes), bytes, hold: 'self' }
}

export function identityCid(bytes: Uint8Array): CidBytes {
  return new Uint8Array([1, 0x55, 0, bytes.length, ...bytes])
}

export function request(number: number, more: Partial<CommitRequest> = {}): CommitRequest {
  return { dataset: 'main', number, bytes: commitBytes(), blocks: [], ...more }
}

/** Bytes that look like a commit (canonical JSON) and are like no other's. */
function commitBytes(): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ nonce: randomBytes(8).toString('hex') }))
}

export async function commitMany(
  backend: Backend,
  count: number,
  dataset = 'main',
): Promise<Uint8Array[]> {
  const written: Uint8Array[] = []
  for (let number = 0; number < count; number++) {
    const made = request(number, { dataset })
    expect(await backend.commit(made)).toBe('committed')
    written.push(made.bytes)
  }
  return written
}

export const plain = (bytes: Uint8Array | undefined): Uint8Array | undefined =>
  bytes && new Uint8Array(bytes)

export async function readAll(
  backend: Backend,
  blocks: readonly Block[],
): Promise<(string | undefined)[]> {
  return (await backend.getBlocks(blocks.map(({ cid }) => cid))).map(print)
}

/** Length and hash: comparing a megabyte byte by byte takes vitest a second. */
export function print(bytes: Uint8Array | undefined): string | undefined {
  return bytes && `${bytes.length} bytes, ${createHash('sha256').update(bytes).digest('hex')}`
}

export const printed = (blocks: readonly Block[]): (string | undefined)[] =>
  blocks.map(({ bytes }) => print(bytes))

export async function stageAll(backend: Backend, blocks: readonly HeldBlock[]): Promise<void> {
  const staging = await backend.stage('main', 'a test')
  await staging.put(blocks)
  await staging.flush()
  await staging.end('committed')
}

export async function expectError(promise: Promise<unknown>, code: ErrorCode): Promise<void> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(isCairnError(error) ? error.code : error).toBe(code)
}
