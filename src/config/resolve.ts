/**
 * Resolving the settings: flags over environment over `.env` over config file over defaults. Within the
 * environment Cairn's own name counts before older ones; an empty variable counts as not given.
 */
import { readFile } from 'node:fs/promises'
import { resolve as resolvePath } from 'node:path'
import { CairnError } from '../errors.ts'
import { parseConfigFile } from './config-file.ts'
import { parseDotenv, type DotenvValue } from './dotenv.ts'
import { parseAs } from './kinds.ts'
import {
  BASIS,
  OTHER_ENV,
  SETTINGS,
  SETTING_NAMES,
  type SettingName,
  type Values,
} from './schema.ts'
import type { Basis, Setting } from './setting.ts'
import { storeName, stripApiPath } from './store-name.ts'

const DEFAULT_CONFIG_FILE = 'cairn.config.json'

type Env = Readonly<Record<string, string | undefined>>

export interface Given {
  /** The texts of flags, by setting. */
  readonly flags: Readonly<Partial<Record<SettingName, string>>>
  /** The value of `--config`. */
  readonly configFile?: string | undefined
  readonly env: Env
  readonly cwd: string
}

export interface Config {
  readonly values: Values
  readonly origins: Readonly<Record<SettingName, string>>
  /** The config file that was read. */
  readonly file: string | undefined
}

interface Sources {
  readonly given: Given
  readonly dotenv: ReadonlyMap<string, DotenvValue>
  readonly file: ReadonlyMap<string, string>
  readonly filePath: string | undefined
}

interface Found<T> {
  readonly value: T
  readonly origin: string
}

export async function resolveConfig(given: Given): Promise<Config> {
  const sources = await readSources(given)
  const basis: Basis = {
    data_dir: find('data_dir', sources, BASIS).value,
    chain_limit: find('chain_limit', sources, BASIS).value,
  }
  const found = Object.fromEntries(SETTING_NAMES.map((name) => [name, find(name, sources, basis)]))
  const origins = mapValues(found, ({ origin }) => origin) as Record<SettingName, string>
  const raw = mapValues(found, ({ value }) => value) as unknown as Values
  const values = { ...raw, store: storeName(raw), kubo_url: stripApiPath(raw.kubo_url) }
  checkThresholds(values, origins)
  return { values, origins, file: sources.filePath }
}

function mapValues<A, B>(map: Readonly<Record<string, A>>, of: (one: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(map).map(([key, one]) => [key, of(one)]))
}

function find<K extends SettingName>(name: K, sources: Sources, basis: Basis): Found<Values[K]> {
  const setting: Setting<Values[K]> = SETTINGS[name]
  const given = textOf(name, setting.env, sources)
  if (given === undefined) return { value: setting.fallback(basis), origin: 'default' }
  const { text, origin } = given
  return { value: parseAs(setting.kind, text, name, origin, setting.secret === true), origin }
}

function textOf(
  name: SettingName,
  envNames: readonly string[],
  { given, dotenv, file, filePath }: Sources,
): { text: string; origin: string } | undefined {
  const flag = given.flags[name]
  if (flag !== undefined) return { text: flag, origin: 'flag' }
  for (const env of envNames) {
    const text = given.env[env]
    if (text !== undefined && text !== '') return { text, origin: `environment ${env}` }
  }
  for (const env of envNames) {
    const one = dotenv.get(env)
    if (one !== undefined && one.value !== '') {
      return { text: one.value, origin: `.env line ${one.line} ${env}` }
    }
  }
  const text = file.get(name)
  return text === undefined ? undefined : { text, origin: `file ${filePath ?? ''}` }
}

async function readSources(given: Given): Promise<Sources> {
  const envPath = resolvePath(given.cwd, '.env')
  const envText = await readIfThere(envPath)
  const dotenv =
    envText === undefined ? new Map<never, never>() : parseDotenv(envText, envPath, isMistake)
  const named =
    given.configFile ??
    (given.env['CAIRN_CONFIG'] || dotenv.get('CAIRN_CONFIG')?.value || undefined)
  const path = resolvePath(given.cwd, named ?? DEFAULT_CONFIG_FILE)
  const json = await readIfThere(path)
  if (json === undefined) {
    if (named === undefined) return { given, dotenv, file: new Map(), filePath: undefined }
    throw new CairnError('config', `The config file ${path} is not there.`, {
      hint: 'Check --config and CAIRN_CONFIG.',
      path,
    })
  }
  const file = parseConfigFile(json, path, (name) => name in SETTINGS)
  return { given, dotenv, file, filePath: path }
}

const KNOWN_ENV = new Set([...OTHER_ENV, ...SETTING_NAMES.flatMap((name) => SETTINGS[name].env)])

/** A name that only Cairn could have meant, and that it does not know. */
export function isMistake(name: string): boolean {
  return name.startsWith('CAIRN_') && !KNOWN_ENV.has(name)
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw new CairnError('config', `The file ${path} cannot be read.`, {
      hint: 'Check that it is a file and that this user may read it.',
      path,
      cause,
    })
  }
}

/** The order that makes sense of thresholds: rebuild < emergency <= chain limit. */
function checkThresholds(
  values: Pick<Values, 'rebuild_threshold' | 'emergency_threshold' | 'chain_limit'>,
  origins: Readonly<Record<SettingName, string>>,
): void {
  const { rebuild_threshold: rebuild, emergency_threshold: emergency, chain_limit: limit } = values
  const given = [origins.rebuild_threshold, origins.emergency_threshold].some(
    (from) => from !== 'default',
  )
  if (!given || (rebuild < emergency && emergency <= limit)) return
  throw new CairnError(
    'config',
    `The thresholds do not fit: rebuild ${rebuild} (${origins.rebuild_threshold}), emergency ${emergency} (${origins.emergency_threshold}), chain limit ${limit} (${origins.chain_limit}).`,
    { hint: 'It must be: rebuild_threshold < emergency_threshold <= chain_limit.' },
  )
}
