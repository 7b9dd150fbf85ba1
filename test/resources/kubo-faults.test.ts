/**
 * Every command that an operation sends to a node, answered in every wrong way: what comes is right, or
 * an error with a code, in time; nothing that was acknowledged is lost; what failed changed no commit;
 * and when the node behaves again, so does everything that was opened before.
 *
 * The commands are those that were seen when the operation ran well, so a new one is broken, too. A
 * sample by KUBO_FAULTS_SEED; KUBO_FAULTS=all takes every case, KUBO_FAULTS='put files/cp mute' those
 * whose names have these words.
 */
import { randomInt } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKubo } from '../../src/backend/kubo/index.ts'
import { Cairn } from '../../src/cairn.ts'
import { isCairnError, type ErrorCode } from '../../src/errors.ts'
import type { Backend } from '../../src/store/backend.ts'
import { verifyDataset } from '../../src/verify/verify.ts'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'
import { Random } from '../helpers/random.ts'
import { FAULTS, startFaultProxy, type Fault, type FaultProxy } from './faulty-node.ts'
import {
  entitiesOf,
  Found,
  makeTemplate,
  OPERATIONS,
  type Entities,
  type Given,
  type Operation,
  type Template,
} from './kubo-operations.ts'

const WANTED = process.env['KUBO_FAULTS'] ?? ''
const SEED = Number(process.env['KUBO_FAULTS_SEED'] ?? randomInt(2 ** 31))
const SAMPLE = 36
const DEADLINES = { deadlineMs: 400, commitDeadlineMs: 500, retryMs: 200, openMs: 5_000 }
/** What the longest operation may take when each of its requests takes its whole deadline. */
const HUNG_MS = 60_000

interface Case {
  readonly operation: Operation
  readonly command: string
  readonly fault: Fault
  /** Only this request of it, the last one when all is well; absent: every one. */
  readonly nth?: number
}

let node: KuboNode
let proxy: FaultProxy
let ledgerDir: string
let truth: Backend
let template: Template | undefined
let rootOfCairn: string

beforeAll(async () => {
  node = await startKuboNode({ offline: true })
  proxy = await startFaultProxy(node.url, { slowMs: 50, lateMs: 700 })
  ledgerDir = await mkdtemp(join(tmpdir(), 'cairn-faults-'))
  truth = await openKubo({ url: node.url })
}, 60_000)
afterAll(async () => {
  await truth.close()
  await proxy.close()
  await node.dispose()
  await rm(ledgerDir, { recursive: true, force: true })
})

/** The dataset as it was at first: its files once more, its blocks made again where a prune let go. */
async function begin(): Promise<Template> {
  await idle()
  await askNode(node.url, 'files/rm', { arg: '/cairn', force: 'true' })
  if (template === undefined) {
    const backend = await openKubo({ url: node.url })
    template = await makeTemplate(new Cairn(backend))
    // What it does in the background would bring back what the next beginning removes.
    await backend.close()
    rootOfCairn = (
      JSON.parse(await askNode(node.url, 'files/stat', { arg: '/cairn/datasets' })) as {
        Hash: string
      }
    ).Hash
  } else {
    await askNode(node.url, 'files/mkdir', { arg: '/cairn' })
    await askNode(node.url, 'files/cp', [
      ['arg', `/ipfs/${rootOfCairn}`],
      ['arg', '/cairn/datasets'],
    ])
  }
  return template
}

/**
 * A change of MFS that its caller has given up goes on, and Kubo brings a directory back, with all that was
 * in it, that was removed while something was put below it.
 */
async function idle(): Promise<void> {
  for (;;) {
    const commands = JSON.parse(await askNode(node.url, 'diag/cmds')) as {
      readonly Active: boolean
      readonly Command: string
    }[]
    if (!commands.some(({ Active, Command }) => Active && Command !== 'diag/cmds')) return
    await sleep(10)
  }
}

/** Opened through the proxy, with nothing read yet. */
async function open(deadlines: Partial<typeof DEADLINES> = DEADLINES): Promise<Given> {
  const backend = await openKubo({ url: proxy.url, ...deadlines })
  return { backend, cairn: new Cairn(backend), ledgerDir }
}

async function commandsOf(operation: Operation): Promise<[string, number][]> {
  const fresh = await begin()
  proxy.seen.clear()
  const given = await open({})
  await operation.run(given, fresh)
  await given.backend.close()
  endOf(operation)
  return [...proxy.seen].filter(([command]) => command !== 'version')
}

/** A prune lets go of what the template needs, and a collection takes it. */
function endOf({ name }: Operation): void {
  if (name === 'prune' || name === 'compact') template = undefined
}

async function allCases(): Promise<Case[]> {
  const cases: Case[] = []
  for (const operation of OPERATIONS)
    for (const [command, count] of await commandsOf(operation))
      for (const fault of FAULTS) {
        cases.push({ operation, command, fault })
        if (count > 1) cases.push({ operation, command, fault, nth: count })
      }
  return cases
}

const nameOf = ({ operation, command, fault, nth }: Case): string =>
  `${operation.name} ${command} ${fault}${nth === undefined ? '' : ` ${nth}`}`

function hasWords(name: string, wanted: string): boolean {
  const words = name.split(' ')
  return wanted.split(' ').every((word) => words.includes(word))
}

function chosen(cases: readonly Case[]): readonly Case[] {
  if (WANTED === 'all') return cases
  if (WANTED !== '') return cases.filter((one) => hasWords(nameOf(one), WANTED))
  const random = new Random(SEED)
  return cases
    .map((one) => ({ one, at: random.next() }))
    .toSorted((a, b) => a.at - b.at)
    .slice(0, SAMPLE)
    .map(({ one }) => one)
}

const LIES: ReadonlySet<Fault> = new Set(['short', 'flipped', 'stale', 'fine', 'void'])
const PLAIN: readonly ErrorCode[] = [
  'backend_timeout',
  'backend_unavailable',
  'backend_refused',
  'commit_unknown',
]
/** What may be said of a node that lies. */
const OF_LIES: readonly ErrorCode[] = [
  ...PLAIN,
  'block_mismatch',
  'block_missing',
  'content_missing',
  'pointer_damaged',
  'store_changed',
  'conflict',
  'busy',
  'dataset_not_found',
  'invalid_block',
]

async function runCase(one: Case): Promise<string> {
  const { operation, command, fault, nth } = one
  const fresh = await begin()
  const numberBefore = await newestNumber('main')
  const given = await open()
  let added: Entities = {}
  let outcome = 'right'
  try {
    proxy.misbehave(command, fault, nth)
    const ended = await inTime(operation.run(given, fresh)).catch((error: unknown) => ({ error }))
    proxy.misbehave()
    if (ended !== undefined && 'error' in ended) {
      outcome = checkError(one, ended.error)
      if (operation.commits !== 'on the way' && outcome !== 'commit_unknown')
        expect(await newestNumber('main'), 'a commit by what failed').toBe(numberBefore)
    } else added = ended ?? {}
    await checkTruth(fresh, added, operation.adds ?? [])
    if (!(operation.believes?.includes(`${command} ${fault}`) ?? false))
      await healed(given, operation, fresh)
    await checkTruth(fresh, added, operation.adds ?? [])
  } finally {
    proxy.misbehave()
    await given.backend.close()
    endOf(operation)
  }
  return outcome
}

/** An id that is there is as good as one that is not, after an error: hence the ids that may be there. */
async function checkTruth(
  { entities }: Template,
  acknowledged: Entities,
  maybe: readonly string[],
): Promise<void> {
  const found = await entitiesOf(await new Cairn(truth).dataset())
  for (const pi of maybe) if (!(pi in acknowledged)) delete found[pi]
  expect(found).toEqual({ ...entities, ...acknowledged })
  const { verdict, problems } = await verifyDataset(truth, 'main', {
    mode: { kind: 'full' },
    ledgerDir,
  })
  expect(problems).toEqual([])
  expect(verdict).toBe('sound')
}

function checkError({ operation, command, fault }: Case, error: unknown): string {
  const lies = LIES.has(fault)
  if (operation.believes?.includes(`${command} ${fault}`) === true) return 'believed'
  if (error instanceof Found && (lies || error.message === 'unknown'))
    return `found ${error.message}`
  if (!isCairnError(error)) throw error
  expect(lies ? OF_LIES : PLAIN, error.message).toContain(error.code)
  expect(fault, 'a node that is only slow').not.toBe('slow')
  return error.code
}

/** The same objects, without opening anything anew. */
async function healed(given: Given, operation: Operation, fresh: Template): Promise<void> {
  const giveUpAt = performance.now() + 20_000
  for (;;) {
    try {
      await operation.run(given, fresh)
      return
    } catch (error) {
      const slow = isCairnError(error, 'backend_timeout') || isCairnError(error, 'busy')
      if (!slow || performance.now() > giveUpAt) throw error
    }
  }
}

async function newestNumber(dataset: string): Promise<number> {
  return (await truth.newest(dataset, -1))?.number ?? -1
}

const byText = (a: string, b: string): number => (a < b ? -1 : 1)
const rank = ({ commits }: Operation): number => (commits === 'none' ? 0 : 1)

async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${HUNG_MS} ms`)), HUNG_MS)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

test('a node that collects garbage again and again meanwhile loses nothing', async () => {
  template = undefined
  const fresh = await begin()
  let collecting = true
  const collector = (async (): Promise<number> => {
    for (let runs = 0; ; runs++) {
      if (!collecting) return runs
      await askNode(node.url, 'repo/gc', { quiet: 'true' })
    }
  })()
  const added: Record<string, string> = {}
  const backend = await openKubo({ url: node.url })
  try {
    const cairn = new Cairn(backend)
    // Those that change what others look for come when these have looked.
    const readsFirst = OPERATIONS.toSorted((a, b) => rank(a) - rank(b))
    for (const operation of readsFirst)
      Object.assign(added, await operation.run({ backend, cairn, ledgerDir }, fresh))
  } finally {
    collecting = false
    expect(await collector).toBeGreaterThan(2)
    await backend.close()
    template = undefined
  }
  await checkTruth(fresh, added, [])
}, 60_000)

test('whatever a node answers, what comes is right or an error, and what was acknowledged stays', async () => {
  const cases = chosen(await allCases())
  expect(cases, `no case is called ${WANTED}`).not.toHaveLength(0)
  const failures: string[] = []
  const outcomes = new Map<string, number>()
  for (const one of cases) {
    try {
      const outcome = `${one.fault}: ${await runCase(one)}`
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      failures.push(`${nameOf(one)}: ${text.slice(0, 900)}`)
      template = undefined
    }
  }
  const counts = [...outcomes].map(([what, count]) => `  ${what} ${count}`)
  process.stderr.write(
    `seed ${SEED}, ${cases.length} cases\n${counts.toSorted(byText).join('\n')}\n`,
  )
  expect(failures.join('\n\n'), `seed ${SEED}`).toBe('')
}, 3_600_000)
