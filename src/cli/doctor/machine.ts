/** Checks of this machine: Node, clock, space, permissions, and what the settings were read from. */
import type { StatsFs } from 'node:fs'
import { stat, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, resolve } from 'node:path'
import { isMistake, type Config } from '../../config/resolve.ts'
import { systemCodeOf } from '../../util/system-error.ts'
import { formatBytes } from '../format.ts'
import { failed, ok, skipped, warning, type CheckResult } from './check.ts'

const LEAST_NODE = [20, 19] as const
/** When this was written: a clock before it is wrong. */
const PAST = Date.UTC(2026, 0, 1)
const TIGHT_BYTES = 64 << 20
const LOW_BYTES = 1 << 30
const FOR_OTHERS = 0o077

export async function checkMachine(config: Config, now: number): Promise<CheckResult[]> {
  const folder = storeFolder(config)
  return [
    checkNode(process.versions.node),
    checkClock(now),
    checkEnvironment(process.env),
    ...(await checkSettingFiles(config)),
    await checkFolder(folder),
    await checkFileSystem(folder ?? config.values.data_dir),
    await checkSpace('space', folder ?? config.values.data_dir),
    await checkSpace('temporary space', tmpdir()),
  ]
}

/** The folder of an embedded store. */
function storeFolder({ values }: Config): string | undefined {
  return values.store.startsWith('lmdb:') ? resolve(values.store.slice('lmdb:'.length)) : undefined
}

export function checkNode(version: string): CheckResult {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [leastMajor, leastMinor] = LEAST_NODE
  if (major > leastMajor || (major === leastMajor && minor >= leastMinor))
    return ok('node', version)
  return failed('node', `${version} is too old.`, `Install Node ${LEAST_NODE.join('.')} or later.`)
}

export function checkClock(now: number): CheckResult {
  const time = new Date(now).toISOString()
  if (now >= PAST) return ok('clock', time)
  return failed(
    'clock',
    `The clock says ${time}.`,
    'Set the clock: times and expiries depend on it.',
  )
}

function checkEnvironment(env: Readonly<Record<string, string | undefined>>): CheckResult {
  const unknown = Object.keys(env).filter(isMistake)
  if (unknown.length === 0) return ok('environment', 'no unknown CAIRN_ variables')
  const hint = '`cairn config` shows which settings there are; docs/CONFIG.md has their names.'
  return warning('environment', `Nothing reads ${unknown.sort().join(', ')}.`, hint)
}

/** A file that a secret came from is nobody else's business. */
async function checkSettingFiles({ origins, file }: Config): Promise<CheckResult[]> {
  const from = origins.kubo_token
  const path = from.startsWith('.env')
    ? resolve('.env')
    : from.startsWith('file')
      ? file
      : undefined
  if (path === undefined) return []
  const { mode } = await stat(path)
  if ((mode & FOR_OTHERS) === 0) return [ok('secrets', `only its owner may read ${path}`)]
  return [
    warning('secrets', `Others may read ${path}, which holds a secret.`, `Run: chmod 600 ${path}`),
  ]
}

async function checkFolder(folder: string | undefined): Promise<CheckResult> {
  const name = 'permissions'
  if (folder === undefined) return skipped(name, 'the store is no folder of this machine')
  const found = await stat(folder).catch(systemCodeOf)
  if (found === 'ENOENT') return skipped(name, `there is no folder ${folder} yet`)
  if (typeof found === 'string') return skipped(name, `${folder} cannot be looked at: ${found}`)
  const mode = (found.mode & 0o777).toString(8)
  const own = process.getuid?.()
  if (own !== undefined && own !== 0 && found.uid !== own) {
    const hint = 'Run Cairn as the owner of the folder, or change its owner.'
    return warning(name, `${folder} belongs to another user.`, hint)
  }
  if ((found.mode & FOR_OTHERS) === 0) return ok(name, `${folder} is for its owner only (${mode})`)
  return warning(name, `${folder} is open to others (${mode}).`, `Run: chmod 700 ${folder}`)
}

/** File systems that lie in memory, by the numbers that Linux has for them. */
const IN_MEMORY: ReadonlyMap<number, string> = new Map([
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
])

async function checkFileSystem(path: string): Promise<CheckResult> {
  const found = await fileSystemOf(path)
  return fileSystemResult(found?.folder ?? path, found?.system.type)
}

export function fileSystemResult(folder: string, type: number | undefined): CheckResult {
  const name = 'file system'
  const kind = type === undefined ? undefined : IN_MEMORY.get(type)
  if (kind === undefined) return ok(name, `${folder} does not lie in memory`)
  const hint = 'Name a folder on a disk; in a container, mount a volume there.'
  return warning(name, `${folder} lies in memory (${kind}): a restart empties it.`, hint)
}

async function checkSpace(name: string, path: string): Promise<CheckResult> {
  const found = await fileSystemOf(path)
  if (found === undefined) return failed(name, `${path} cannot be looked at.`, 'Check the path.')
  const { folder, system } = found
  return spaceResult(name, folder, system.bavail * system.bsize)
}

/** Of the nearest folder that is there. */
async function fileSystemOf(
  path: string,
): Promise<{ readonly folder: string; readonly system: StatsFs } | undefined> {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    const system = await statfs(folder).catch(() => undefined)
    if (system !== undefined) return { folder, system }
    if (dirname(folder) === folder) return undefined
  }
}

export function spaceResult(name: string, where: string, free: number): CheckResult {
  const text = `${formatBytes(free)} free at ${where}`
  if (free < TIGHT_BYTES) return failed(name, `Only ${text}.`, 'Free some space before writing.')
  if (free < LOW_BYTES) return warning(name, `Only ${text}.`, 'Free some space soon.')
  return ok(name, text)
}
