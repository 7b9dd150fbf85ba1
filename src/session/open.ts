/**
 * Opening a session: the store, the newest good state, the session's record. Nobody has to initialize or choose
 * anything after a restart; a fresh start is made only when it is asked for, and keeps what was there.
 */
import { join } from 'node:path'
import type { Cairn } from '../cairn.ts'
import { openCairn } from '../compose.ts'
import type { Logger } from '../engine/logger.ts'
import type { FellBack } from '../engine/fall-back.ts'
import type { ImportEntry } from '../engine/import-entry.ts'
import { ITEMS_PREFIX, RECORDS_PREFIX, SESSION_ID } from '../live/layout.ts'
import { NEW_SESSION, withoutUsers, type SessionRecord } from '../live/session-record.ts'
import { readSession, SessionStore } from '../live/session-store.ts'
import { writeAll } from '../live/write-all.ts'
import { whenFree } from '../live/when-free.ts'
import { printCid } from '../model/cid.ts'
import { matchesGlob } from '../util/glob.ts'
import type { RetentionPolicy } from '../retention/policy.ts'
import { buildTask } from '../tasks/build.ts'
import { SessionBackups } from './backups.ts'
import { consoleLog } from './console-log.ts'
import { safeLog } from './safe-log.ts'
import { Saver } from './saver.ts'
import { Session, type Restored } from './session.ts'
import { Sources } from './sources.ts'

export interface SessionOptions {
  /** `main` unless given. */
  readonly dataset?: string | undefined
  /** The folder of backups; that of the session's own folder unless given. */
  readonly backupsDir?: string | undefined
  /** How many of the newest backups stay; 10 unless given. */
  readonly maxBackups?: number | undefined
  /** Which backups stay, in place of the rules below. */
  readonly keepBackups?: RetentionPolicy | undefined
  /** Which snapshots stay in the store. */
  readonly keepSnapshots?: RetentionPolicy | undefined
  /** Patterns of names of maps that are not to be kept, such as `tmp-*`. */
  readonly exclude?: readonly string[] | undefined
  /** Names of sources that must be attached: while one is missing, saving fails. */
  readonly sources?: readonly string[] | undefined
  /** Begins with nothing. What was there is saved in a snapshot that stays. */
  readonly fresh?: boolean | undefined
  /** The console unless given. */
  readonly log?: Logger | undefined
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined
}

/** Ten saves every two minutes are twenty minutes: some of each hour and day stay, too. */
const SPREAD: RetentionPolicy = { hourly: 24, daily: 7, weekly: 4 }
const MAX_BACKUPS = 10
/** Of nodes of the tree. What is read is read from the maps: only saving looks at the tree. */
const CACHE_BYTES = 4 << 20
const KEEP_SNAPSHOTS: RetentionPolicy = { ...SPREAD, last: 20, tags: ['keep'] }

/**
 * In a folder, which is made if it does not exist, or in a store that is open. The layout of the folder is that
 * of the command line's `--data-dir`, so that `cairn status --data-dir` and all the others work on it.
 */
export async function openSession(
  where: string | Cairn,
  options: SessionOptions = {},
): Promise<Session> {
  const { now = Date.now, dataset = 'main' } = options
  const log = safeLog(options.log ?? consoleLog)
  const own =
    typeof where === 'string'
      ? await openCairn(`lmdb:${join(where, 'store')}`, { log, now, cacheBytes: CACHE_BYTES })
      : undefined
  const cairn = own ?? (where as Cairn)
  const folder = typeof where === 'string' ? where : undefined
  try {
    return await open({
      ...options,
      cairn,
      dataset,
      folder,
      log,
      now,
      release: async () => own?.close(),
    })
  } catch (error) {
    await own?.close()
    throw error
  }
}

interface Opening extends SessionOptions {
  readonly cairn: Cairn
  readonly dataset: string
  readonly folder: string | undefined
  readonly log: Logger
  readonly now: () => number
  readonly release: () => Promise<void>
}

async function open(opening: Opening): Promise<Session> {
  const { cairn, dataset: name, folder, log, now, release, exclude = [] } = opening
  const restored = await restoredState(opening)
  const dataset = await cairn.open(name)
  // Whoever was connected to the process before is not connected to this one.
  const record = new SessionStore(() => Promise.resolve(dataset))
  await record.change((one) =>
    one === NEW_SESSION ? { ...one } : withoutUsers(one, Object.keys(one.users)),
  )
  tell(restored, record.known, opening)
  const maps = await cairn.maps(name)
  const ending = new AbortController()
  const following = record.follow(ending.signal)
  const sources = new Sources(opening.sources ?? [])
  const backups = new SessionBackups({
    cairn,
    dataset: name,
    maps,
    folder: opening.backupsDir ?? join(folder ?? '.', 'backups'),
    keep: opening.keepBackups ?? { ...SPREAD, last: opening.maxBackups ?? MAX_BACKUPS },
    log,
    now,
  })
  return new Session({
    cairn,
    dataset: name,
    maps,
    sources,
    saver: new Saver({ cairn, dataset: name, maps, sources, folder, log, now }),
    backups,
    record,
    restored,
    keep: opening.keepSnapshots ?? KEEP_SNAPSHOTS,
    isExcluded: (map) => exclude.some((pattern) => matchesGlob(pattern, map)),
    log,
    now,
    release: async () => {
      ending.abort()
      try {
        await following
        await maps.flush()
      } finally {
        await release()
      }
    },
  })
}

/** The newest good state is current when it resolves. */
async function restoredState(opening: Opening): Promise<Restored> {
  const { cairn, dataset: name, fresh = false, log } = opening
  if (!(await cairn.datasets()).includes(name))
    return { from: 'new', savedAt: opening.now(), users: [] }
  const found = await cairn.fallBack(name, { reason: 'session' })
  const dataset = await cairn.dataset(name)
  const users = Object.keys((await readSession(dataset))?.users ?? {}).toSorted()
  const { snapshotTs } = await dataset.head()
  const report = found.status === 'fell_back' ? found : undefined
  if (report !== undefined)
    log.error('session.fell_back', { dataset: name, message: sentence(report) })
  if (fresh) {
    await whenFree(() => startAnew(cairn, name))
    return { from: 'fresh', savedAt: snapshotTs, users: [], report }
  }
  return { from: report === undefined ? 'newest' : 'fell_back', savedAt: snapshotTs, users, report }
}

function sentence({ from, to, damage, lost, snapshot, seq }: FellBack): string {
  const why = damage.map(({ message }) => message).join(' ')
  return (
    `The newest state (commit ${from}) was damaged. The one of commit ${to} is current again, with snapshot ${seq} ` +
    `(${printCid(snapshot)}); ${lost.to - lost.from} entries of the log no longer count. ${why} ` +
    `What is left of the damaged state is kept: repair the store (\`cairn repair\`), then \`cairn rollback --commit ${from}\`.`
  )
}

/** Deletes all maps and makes the session new, in one commit, behind a snapshot of them that stays. */
async function startAnew(cairn: Cairn, name: string): Promise<void> {
  const before = { reason: 'before a fresh start', tags: ['keep'], force: true }
  await buildTask({ cairn, dataset: name }, before)
  const dataset = await cairn.dataset(name)
  const gone: ImportEntry[] = [{ pi: SESSION_ID, value: NEW_SESSION }]
  for (const prefix of [ITEMS_PREFIX, RECORDS_PREFIX])
    for await (const { pi } of dataset.entries({ prefix, order: 'asc' }))
      gone.push({ pi, tip: null })
  await writeAll(dataset, gone)
}

function tell(restored: Restored, record: SessionRecord, { dataset, log }: Opening): void {
  const say = (event: string, message: string): void => log.info(event, { dataset, message })
  if (restored.from === 'new' || restored.from === 'fresh') {
    say('session.new', 'No previous session: a fresh start')
    return
  }
  say('session.found', '📂 Previous session found:')
  say('session.restored', 'Session restored from disk')
  say('session.saved_at', `  Timestamp: ${new Date(restored.savedAt).toISOString()}`)
  say('session.users', `  Users: ${restored.users.length}`)
  say('session.initialized', `  Initialized: ${record.initialized ? 'True' : 'False'}`)
  if (record.initialized)
    say('session.active', '✓ Repository automatically initialized to ACTIVE state')
}
