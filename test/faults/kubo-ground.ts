/**
 * A node. Its steps are those of the contract, or the requests under them, which go through a proxy. Each
 * case begins with the same folder in MFS, the same pins, and no other blocks than those hold; and what a
 * case leaves is looked at when the node has collected its garbage.
 */
import { open } from 'node:fs/promises'
import { CID } from 'multiformats/cid'
import { CarWriter } from '../../src/car/writer.ts'
import { FileSink } from '../../src/car/file-sink.ts'
import { openKubo } from '../../src/backend/kubo/index.ts'
import type { Backend } from '../../src/store/backend.ts'
import { carPath, dagImport } from '../helpers/cars.ts'
import { pinsOf } from '../helpers/kubo-blocks.ts'
import { askNode, startKuboNode } from '../helpers/kubo-node.ts'
import { startNodeProxy, type Fate } from '../helpers/node-proxy.ts'
import { steppedBackend } from './contract.ts'
import { AHEAD_MS, type Ground, type Grounds } from './ground.ts'
import { fillStore, START, type Clock, type Material } from './material.ts'
import type { Fault, Steps } from './steps.ts'

export type KuboLevel = 'contract' | 'requests'

const TYPES = ['recursive', 'direct'] as const
type Pins = Readonly<Record<(typeof TYPES)[number], readonly string[]>>

/** How a node was. */
interface Image {
  /** The folder of all that is Cairn's. */
  readonly folder: string
  readonly pins: Pins
  /** A CAR of all blocks. */
  readonly blocks: string
}

const RETRY_MS = 150
/** These only read, whatever they are asked for. */
const READS =
  /^(?:block\/(?:get|stat)|cat|dag\/(?:get|export|stat)|files\/(?:ls|read|stat)|pin\/ls|refs|repo\/(?:stat|version)|version|config|id|stats|diag)/

export async function kuboGrounds(level: KuboLevel): Promise<Grounds> {
  const node = await startKuboNode({ offline: true })
  let steps: Steps | undefined
  const proxy = await startNodeProxy(node.url, (call) => fateOf(steps, call))
  const clock: Clock = { now: START }
  const backend = await openKubo({ url: node.url, now: () => clock.now })
  const material = await fillStore(backend, clock)
  await backend.close()
  const image = await imageOf(node.url)
  const make = async (): Promise<Ground> => {
    await bringBack(node.url, image)
    const url = level === 'requests' ? proxy.url : node.url
    return kuboGround(node.url, url, material, level, (now) => (steps = now))
  }
  const dispose = async (): Promise<void> => {
    await proxy.close()
    await node.dispose()
  }
  return { name: level === 'contract' ? 'kubo' : 'kubo requests', atOnce: 1, make, dispose }
}

function kuboGround(
  node: string,
  url: string,
  material: Material,
  level: KuboLevel,
  arm: (steps: Steps | undefined) => void,
): Ground {
  const clock: Clock = { now: START }
  const openAt = (at: string): Promise<Backend> =>
    openKubo({ url: at, now: () => clock.now, retryMs: RETRY_MS })
  return {
    clock,
    material,
    counts: false,
    openStepped: async (steps) => {
      const backend = await openAt(url)
      if (level === 'contract') return steppedBackend(backend, steps)
      arm(steps)
      return { backend, handles: [] }
    },
    open: () => openAt(node),
    bury: async () => void (clock.now += AHEAD_MS),
    collect: async () => void (await askNode(node, 'repo/gc')),
    dispose: async () => arm(undefined),
  }
}

const FATES: Readonly<Record<Fault | 'pass', Fate>> = {
  pass: 'pass',
  before: 'lose',
  unsure: 'lose',
  gone: 'lose',
  dead: 'lose',
  after: 'mute',
  cut: 'mute',
}

function fateOf(steps: Steps | undefined, call: string): Fate {
  if (steps === undefined) return 'pass'
  const name = call.replace(/^(\S+).*?( \/cairn\/[a-z]+)?.*$/s, '$1$2')
  const effect = !READS.test(call)
  return FATES[steps.next({ name, effect, unclear: 'backend_unavailable' })]
}

async function imageOf(url: string): Promise<Image> {
  const { Hash } = JSON.parse(await askNode(url, 'files/stat', { arg: '/cairn' })) as {
    Hash: string
  }
  return { folder: Hash, pins: await allPins(url), blocks: await allBlocks(url) }
}

async function allBlocks(url: string): Promise<string> {
  const lines = (await askNode(url, 'refs/local')).split('\n').filter((line) => line !== '')
  const path = carPath()
  const handle = await open(path, 'wx')
  const writer = await CarWriter.begin(new FileSink(handle), [])
  for (const line of lines) {
    const { Ref: arg } = JSON.parse(line) as { Ref: string }
    const response = await fetch(`${url}/api/v0/block/get?arg=${arg}`, { method: 'POST' })
    await writer.put(CID.parse(arg).bytes, new Uint8Array(await response.arrayBuffer()))
  }
  await writer.finish()
  await handle.close()
  return path
}

async function allPins(url: string): Promise<Pins> {
  const [recursive, direct] = await Promise.all(TYPES.map((type) => pinsOf(url, type)))
  return { recursive: recursive ?? [], direct: direct ?? [] }
}

/** A collection comes only when all that is needed is held. */
async function bringBack(url: string, { folder, pins, blocks }: Image): Promise<void> {
  await dagImport(url, blocks, { 'pin-roots': 'false' })
  const now = await allPins(url)
  for (const type of TYPES) {
    const recursive = String(type === 'recursive')
    const there = new Set(now[type])
    const wanted = new Set(pins[type])
    for (const arg of there) if (!wanted.has(arg)) await askNode(url, 'pin/rm', { arg, recursive })
    for (const arg of wanted) if (!there.has(arg)) await askNode(url, 'pin/add', { arg, recursive })
  }
  await askNode(url, 'files/rm', { arg: '/cairn', recursive: 'true', force: 'true' })
  await askNode(url, 'files/cp', [
    ['arg', `/ipfs/${folder}`],
    ['arg', '/cairn'],
  ])
  await askNode(url, 'repo/gc')
}
