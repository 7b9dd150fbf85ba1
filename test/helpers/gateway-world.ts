/** A service with a snapshot in it, asked through its gateway. */
import { CID } from 'multiformats/cid'
import { expect } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import type { Values } from '../../src/config/schema.ts'
import { cborBlock, printCid, rawCidOf, type Block } from '../../src/model/cid.ts'
import { encodeIpld } from '../../src/model/ipld.ts'
import type { Backend } from '../../src/store/backend.ts'
import { readCar, type ReadCar } from './gateway.ts'
import { startService, type TestService } from './service.ts'

export interface GatewayWorld extends TestService {
  readonly backend: Backend
  /** The CID of the newest snapshot. */
  readonly root: string
}

export interface GatewayWorldOptions {
  readonly backend?: Backend
  /** Of every content that is bytes. */
  readonly bytes?: number
  readonly values?: Partial<Values>
}

/** So many entities make a tree with a branch. */
export const GATEWAY_ENTITIES = 150

export async function openGatewayWorld({
  backend = openMemory(),
  bytes = 100,
  values = {},
}: GatewayWorldOptions = {}): Promise<GatewayWorld> {
  const service = await startService({
    backend,
    values,
    automation: false,
    init: { content: 'linked', chunkSize: 64 },
  })
  const dataset = await service.service.dataset('main')
  const entries = Array.from({ length: GATEWAY_ENTITIES }, (_, i) => ({
    pi: `item-${i}`,
    value: i % 3 === 0 ? { n: i, list: [i, { deep: 'x' }] } : new Uint8Array(bytes).fill(i),
  }))
  await dataset.putBatch(entries)
  await dataset.build()
  return { ...service, backend, root: printCid((await dataset.snapshot()).cid) }
}

/** The CAR at a path, which must be there. */
export async function getCar(
  { url }: Pick<TestService, 'url'>,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<ReadCar> {
  const response = await fetch(`${url}/ipfs/${path}`, { headers })
  expect(response.status, path).toBe(200)
  return readCar(new Uint8Array(await response.arrayBuffer()))
}

export function textBlock(text: string): Block {
  const bytes = Buffer.from(text)
  return { cid: rawCidOf(bytes), bytes }
}

export const valueBlock = (value: unknown): Block => cborBlock(encodeIpld(value))

export const linkTo = ({ cid }: Block): CID => CID.decode(cid)

export const nameOf = ({ cid }: Block): string => printCid(cid)
