/**
 * The one table of settings. Flags, environment variables, `.env`, the config file, `cairn config` and
 * `docs/CONFIG.md` (which a test compares) all come from here.
 */
import type { ContentMode } from '../model/entry.ts'
import { bytes, duration, list, oneOf, optionalText, text, wholeNumber } from './kinds.ts'
import type { Basis, Setting } from './setting.ts'
import { SERVICE_SETTINGS, type ServiceValues } from './service-settings.ts'

export type LogLevel = 'silent' | 'error' | 'info' | 'debug'

export interface Values extends ServiceValues {
  readonly data_dir: string
  readonly store: string
  readonly dataset: string
  readonly kubo_url: string
  readonly kubo_token: string | null
  readonly cluster_url: string | null
  readonly cluster_token: string | null
  readonly pin_min: number
  readonly pin_max: number
  readonly index_pointer_path: string | null
  readonly compat: 'none' | 'arke-v1' | 'arke-v2'
  readonly compat_path: string
  readonly compat_force: 'no' | 'yes'
  readonly deadline: number
  readonly replicas: readonly string[]
  readonly replica_ack: number
  readonly replica_deadline: number
  readonly content: ContentMode
  readonly chunk_size: number
  readonly chain_limit: number
  readonly rebuild_threshold: number
  readonly emergency_threshold: number
  readonly backups_dir: string
  readonly cache_bytes: number
  readonly log_level: LogLevel
}

export type SettingName = keyof Values

export const BASIS: Basis = { data_dir: './.cairn', chain_limit: 10_000 }

const PINS: readonly string[] = ['pins sync', 'pins status', 'pins release']

export const SETTINGS: { readonly [K in SettingName]: Setting<Values[K]> } = {
  data_dir: {
    kind: text,
    env: ['CAIRN_DATA_DIR', 'DATA_DIR'],
    flag: '--data-dir <dir>',
    fallback: () => BASIS.data_dir,
    description: 'the folder for what Cairn keeps on this machine',
  },
  store: {
    kind: text,
    env: ['CAIRN_STORE'],
    flag: '--store <store>',
    fallback: ({ data_dir }) => `lmdb:${data_dir}/store`,
    fallbackText: 'lmdb:DATA_DIR/store',
    description:
      'where blocks and commits are: lmdb:DIR, kubo:URL, kubo (see kubo_url), s3://BUCKET/PREFIX or memory:',
  },
  dataset: {
    kind: text,
    env: ['CAIRN_DATASET'],
    flag: '-d, --dataset <name>',
    fallback: () => 'main',
    description: 'the dataset to work on',
  },
  kubo_url: {
    kind: text,
    env: ['CAIRN_KUBO_URL', 'IPFS_API_URL', 'IPFS_API'],
    flag: '--kubo-url <url>',
    fallback: () => 'http://127.0.0.1:5001',
    description: 'the RPC address of the IPFS node, used when the store is just "kubo"',
  },
  kubo_token: {
    kind: optionalText,
    env: ['CAIRN_KUBO_TOKEN'],
    fallback: () => null,
    secret: true,
    description: 'the secret for the RPC of the node: bearer:TOKEN or basic:USER:PASSWORD',
  },
  cluster_url: {
    kind: optionalText,
    env: ['CAIRN_CLUSTER_URL'],
    flag: '--cluster-url <url>',
    commands: PINS,
    fallback: () => null,
    description: 'the REST API of a peer of the IPFS Cluster that holds replicated pins',
  },
  cluster_token: {
    kind: optionalText,
    env: ['CAIRN_CLUSTER_TOKEN'],
    fallback: () => null,
    secret: true,
    description: 'the secret for that API: basic:USER:PASSWORD or bearer:TOKEN',
  },
  pin_min: {
    kind: wholeNumber(1, 1000),
    env: ['CAIRN_PIN_MIN'],
    flag: '--pin-min <n>',
    commands: PINS,
    fallback: () => 2,
    description: 'on how many nodes of the cluster a pin has to be',
  },
  pin_max: {
    kind: wholeNumber(1, 1000),
    env: ['CAIRN_PIN_MAX'],
    flag: '--pin-max <n>',
    commands: PINS,
    fallback: () => 3,
    description: 'on how many nodes the cluster puts a pin where it can',
  },
  index_pointer_path: {
    kind: optionalText,
    env: ['CAIRN_INDEX_POINTER_PATH'],
    flag: '--index-pointer-path <path>',
    fallback: () => null,
    fallbackText: '/cairn/datasets/DATASET/index-pointer',
    description: 'where in MFS the index pointer is mirrored (kubo); {dataset} stands for the name',
  },
  compat: {
    kind: oneOf('none', 'arke-v1', 'arke-v2'),
    env: ['CAIRN_COMPAT'],
    flag: '--compat <shape>',
    fallback: () => 'none',
    description: 'also keep an index pointer of this older shape (kubo), for tools that read it',
  },
  compat_path: {
    kind: text,
    env: ['CAIRN_COMPAT_PATH', 'INDEX_POINTER_PATH'],
    flag: '--compat-path <path>',
    fallback: () => '/arke/index-pointer',
    description: 'where in MFS that pointer is; one that Cairn did not write is left alone',
  },
  compat_force: {
    kind: oneOf('no', 'yes'),
    env: ['CAIRN_COMPAT_FORCE'],
    flag: '--compat-force',
    fallback: () => 'no',
    description: 'replace that one, and keep a copy beside it; the flag alone means yes',
  },
  deadline: {
    kind: duration,
    env: ['CAIRN_DEADLINE'],
    flag: '--deadline <time>',
    fallback: () => 30_000,
    fallbackText: '30s',
    description: 'how long one read from a node may take',
  },
  replicas: {
    kind: list,
    env: ['CAIRN_REPLICAS'],
    flag: '--replicas <stores>',
    fallback: () => [],
    fallbackText: 'none',
    description:
      'stores and services that hold copies of this one: looked at before writes and prunes',
  },
  replica_ack: {
    kind: wholeNumber(0, 16),
    env: ['CAIRN_REPLICA_ACK'],
    flag: '--replica-ack <n>',
    fallback: () => 0,
    description: 'a write is acknowledged when so many of them have it',
  },
  replica_deadline: {
    kind: duration,
    env: ['CAIRN_REPLICA_DEADLINE'],
    flag: '--replica-deadline <time>',
    fallback: () => 10_000,
    fallbackText: '10s',
    description: 'how long a write waits for them',
  },
  content: {
    kind: oneOf('linked', 'external'),
    env: ['CAIRN_CONTENT'],
    flag: '--content <mode>',
    commands: ['init'],
    fallback: () => 'linked',
    description: 'what the tips of a new dataset are: linked (the store holds them) or external',
  },
  chunk_size: {
    kind: wholeNumber(64, 10_000),
    env: ['CAIRN_CHUNK_SIZE', 'CHUNK_SIZE'],
    flag: '--chunk-size <n>',
    commands: ['init'],
    fallback: () => 10_000,
    description: 'entries in a leaf of the snapshots of a new dataset, at most',
  },
  chain_limit: {
    kind: wholeNumber(1, 10_000_000),
    env: ['CAIRN_CHAIN_LIMIT'],
    flag: '--chain-limit <n>',
    commands: ['init'],
    fallback: () => BASIS.chain_limit,
    description: 'entries in the recent chain of a new dataset, at most',
  },
  rebuild_threshold: {
    kind: wholeNumber(1, 10_000_000),
    env: ['CAIRN_REBUILD_THRESHOLD', 'REBUILD_THRESHOLD'],
    flag: '--rebuild-threshold <n>',
    commands: ['build-snapshot'],
    fallback: ({ chain_limit }) => Math.max(1, Math.floor(chain_limit * 0.5)),
    fallbackText: 'half of the chain limit',
    description: 'recent entries from which on `build-snapshot --if-needed` builds',
  },
  emergency_threshold: {
    kind: wholeNumber(1, 10_000_000),
    env: ['CAIRN_EMERGENCY_THRESHOLD', 'EMERGENCY_THRESHOLD'],
    flag: '--emergency-threshold <n>',
    commands: ['build-snapshot'],
    fallback: ({ chain_limit }) => Math.max(1, Math.floor(chain_limit * 0.8)),
    fallbackText: '80% of the chain limit',
    description: 'recent entries from which on it also warns that builds come too seldom',
  },
  backups_dir: {
    kind: text,
    env: ['CAIRN_BACKUPS_DIR', 'BACKUPS_DIR'],
    flag: '--backups-dir <dir>',
    commands: [
      'export-car',
      'drill',
      'prune',
      'health',
      'coverage',
      'snapshots',
      'top',
      'serve',
      'backups',
      'offsite push',
      'offsite pull',
      'offsite prune',
      'doctor',
      'maps restore',
    ],
    fallback: ({ data_dir }) => `${data_dir}/backups`,
    fallbackText: 'DATA_DIR/backups',
    description: 'the folder of backups',
  },
  cache_bytes: {
    kind: bytes,
    env: ['CAIRN_CACHE_BYTES'],
    flag: '--cache-bytes <size>',
    fallback: () => 96 << 20,
    fallbackText: '96MiB',
    description: 'memory for decoded tree nodes',
  },
  log_level: {
    kind: oneOf('silent', 'error', 'info', 'debug'),
    env: ['CAIRN_LOG_LEVEL'],
    flag: '--log-level <level>',
    fallback: () => 'error',
    description: 'what is logged on stderr; -v means info, -vv debug',
  },
  ...SERVICE_SETTINGS,
}

export const SETTING_NAMES: readonly SettingName[] = Object.keys(SETTINGS) as SettingName[]

/** Names in the environment that belong to Cairn but are no setting. */
export const OTHER_ENV: readonly string[] = ['CAIRN_CONFIG']
