/**
 * A fail-over as it happens: a primary is killed while clients write to it, its replica is promoted, the clients
 * go on there, the old one comes back, is refused, and rejoins. Real processes, real folders.
 *
 * What must hold at the end, and is counted from the logs of both stores:
 *   - what was acknowledged is in the log of the new primary, whichever of the two acknowledged it;
 *   - its positions have no gaps, and each entity's versions follow one another: nothing forked;
 *   - what the old one alone had is there again, or was told as a conflict: each entry one or the other;
 *   - the old one is a replica that reads the same.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { openCairn } from '../../src/index.ts'
import { printCid } from '../../src/model/cid.ts'
import { ndjson, type Sandbox } from '../cli/sandbox.ts'
import { Client } from './client.ts'

export interface DrillOptions {
  readonly box: Sandbox
  readonly name: string
  readonly seed: number
  readonly clients: number
  /** How long clients write before the kill, and after the promotion. */
  readonly ms: number
  /** The replica is behind a service, and its store is not known to the primary. */
  readonly overHttp?: boolean
}

export interface DrillReport {
  readonly acknowledged: number
  /** Writes that had no answer, or one that said that no replica had them in time. */
  readonly unsure: number
  /** Entries that only the old primary had. */
  readonly alone: number
  readonly appended: number
  readonly already: number
  readonly conflicts: number
  /** From the kill to the first write that the new primary acknowledged. */
  readonly outageMs: number
  readonly wrong: readonly string[]
}

export async function drill({
  box,
  name,
  seed,
  clients,
  ms,
  overHttp = false,
}: DrillOptions): Promise<DrillReport> {
  const old = `lmdb:${name}-old`
  const heir = `lmdb:${name}-new`
  await box.ok(['init', '--store', old])
  const far = overHttp ? await serve(box, ['--store', heir]) : undefined
  const copy = far?.url ?? heir
  await box.ok(['sync', copy, '--store', old])
  const first = await serve(box, ['--store', old, '--replicas', copy, '--replica-ack', '1'])
  const all = Array.from({ length: clients }, (_, i) => new Client(i, seed))
  const running = all.map((client) => client.run(first.url))
  await delay(ms)
  const killed = performance.now()
  first.child.kill('SIGKILL')
  await first.closed
  for (const client of all) client.stop()
  await Promise.all(running)
  // Cut off, not dead: somebody goes on writing to it who knows nothing of replicas.
  for (const pi of [...all.slice(0, 2).map((client) => client.someEntity()), 'nobody-elses'])
    await box.ok(['put', pi, '--value', '"alone"', '--store', old])

  await box.ok(['promote', '--lost', '--store', heir, '--yes'])
  const second = far ?? (await serve(box, ['--store', heir]))
  const again = all.map((client) => client.run(second.url))
  await Promise.all(all.map((client) => client.acknowledgedOne))
  const outageMs = performance.now() - killed
  await delay(ms)
  for (const client of all) client.stop()
  await Promise.all(again)

  const wrong: string[] = []
  const back = await serve(box, ['--store', old, '--replicas', copy])
  const refused = await fetch(`${back.url}/v1/datasets/main/entities/late/content`, {
    method: 'PUT',
    body: '1',
    headers: { 'content-type': 'application/json' },
  })
  const problem = (await refused.json()) as { code?: string }
  if (refused.status !== 409 || problem.code !== 'fenced')
    wrong.push(`the old primary took a write: ${refused.status} ${problem.code}`)
  for (const one of [back, second]) await one.stop()

  const before = await logOf(box, heir)
  const there = new Set(before.map(keyOf))
  const alone = (await logOf(box, old)).filter((entry) => !there.has(keyOf(entry)))
  const told = box.path(`${name}.ndjson`)
  const rejoined = await box.run(['rejoin', heir, '--store', old, '--report', told, '--json'])
  const handed = JSON.parse(rejoined.stdout) as Record<'appended' | 'already' | 'conflicts', number>
  const conflicts = handed.conflicts === 0 ? [] : ndjson(await readFile(told, 'utf8'))
  wrong.push(...check({ before, after: await logOf(box, heir), alone, conflicts, all }))
  const [mine, theirs] = [
    await box.ok(['export', '--values', '--store', old]),
    await box.ok(['export', '--values', '--store', heir]),
  ]
  if (mine !== theirs) wrong.push('the old primary does not read as the new one')
  for (const store of [old, heir]) await box.ok(['verify', '--store', store])
  const { appended, already } = handed
  const acknowledged = all.reduce((sum, client) => sum + client.acknowledged.length, 0)
  const unsure = all.reduce((sum, client) => sum + client.unsure, 0)
  return {
    acknowledged,
    unsure,
    alone: alone.length,
    appended,
    already,
    conflicts: conflicts.length,
    outageMs,
    wrong,
  }
}

interface Logged {
  readonly pi: string
  readonly ver: number
  readonly tip: string | null
  readonly position: number
}

const keyOf = ({ pi, ver, tip }: Pick<Logged, 'pi' | 'ver' | 'tip'>): string =>
  `${pi}@${ver} ${tip}`

async function logOf(box: Sandbox, store: string): Promise<Logged[]> {
  const cairn = await openCairn(store.replace('lmdb:', `lmdb:${box.dir}/`), { create: false })
  try {
    const dataset = await cairn.dataset()
    const all: Logged[] = []
    for (let since = 0; ;) {
      const { items, next } = await dataset.log({ since, limit: 10_000 })
      for (const { position, entry } of items) {
        const { pi, ver, tip } = entry
        all.push({ pi, ver, tip: tip === null ? null : printCid(tip), position })
      }
      if (items.length === 0) return all
      since = next
    }
  } finally {
    await cairn.close()
  }
}

interface Ends {
  readonly before: readonly Logged[]
  readonly after: readonly Logged[]
  readonly alone: readonly Logged[]
  readonly conflicts: readonly Record<string, unknown>[]
  readonly all: readonly Client[]
}

function check({ before, after, alone, conflicts, all }: Ends): string[] {
  const wrong: string[] = []
  const there = new Set(after.map(keyOf))
  for (const client of all)
    for (const one of client.acknowledged)
      if (!there.has(keyOf(one))) wrong.push(`acknowledged and lost: ${keyOf(one)}`)
  for (const [i, { position }] of after.entries())
    if (position !== i) wrong.push(`position ${position} stands at place ${i}`)
  const versions = new Map<string, number>()
  for (const { pi, ver } of after) {
    if (ver !== (versions.get(pi) ?? 0) + 1)
      wrong.push(`${pi} goes from ${versions.get(pi) ?? 0} to ${ver}`)
    versions.set(pi, ver)
  }
  if (before.some((one, i) => keyOf(one) !== keyOf(after[i] ?? one)))
    wrong.push('the log of the new primary changed')
  const told = conflicts.map((one) => keyOf(one as unknown as Logged)).toSorted()
  const missing = alone
    .map(keyOf)
    .filter((key) => !there.has(key))
    .toSorted()
  if (JSON.stringify(told) !== JSON.stringify(missing))
    wrong.push(`told as conflicts: ${told.join(', ')}; not there: ${missing.join(', ')}`)
  return wrong
}

interface Served {
  readonly child: ChildProcess
  readonly url: string
  readonly closed: Promise<unknown>
  readonly stop: () => Promise<unknown>
}

async function serve(box: Sandbox, args: readonly string[]): Promise<Served> {
  const child = spawn(
    process.execPath,
    [box.bin(), 'serve', '--port', '0', '--data-dir', box.path('data'), ...args],
    {
      cwd: box.dir,
      env: box.env,
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  )
  // A drill that fails leaves none behind.
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  const closed = once(child, 'close').finally(() => process.off('exit', kill))
  let said = ''
  child.stdout.on('data', (part: Buffer) => (said += part.toString()))
  while (!said.includes('\n')) {
    if (child.exitCode !== null) throw new Error(`the service of ${args.join(' ')} ended`)
    await delay(20)
  }
  const url = /(http\S+)/.exec(said)?.[1] ?? ''
  return {
    child,
    url,
    closed,
    stop: () => {
      child.kill('SIGTERM')
      return closed
    },
  }
}
