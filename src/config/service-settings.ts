/** The settings of `cairn serve`: how it listens, what it does by itself, what counts as healthy. */
import { bytes, duration, list, oneOf, optionalText, span, text, wholeNumber } from './kinds.ts'
import type { Setting } from './setting.ts'

export interface ServiceValues {
  readonly host: string
  readonly port: number
  readonly tls_cert: string | null
  readonly tls_key: string | null
  readonly behind_proxy: 'no' | 'yes'
  readonly tokens_file: string
  readonly cors_origins: readonly string[]
  readonly page: 'on' | 'off'
  readonly gateway: 'off' | 'read' | 'public'
  readonly rate_limit: number
  readonly body_limit: number
  readonly upload_limit: number
  readonly upload_deadline: number
  readonly request_deadline: number
  readonly shutdown_deadline: number
  readonly api_pointer: 'arke-v1' | 'arke-v2'
  readonly log_file: string | null
  readonly log_format: 'auto' | 'json' | 'pretty'
  readonly save_interval: number
  readonly save_rules: string
  readonly alert_threshold: number
  readonly max_lag: number
  readonly time_zone: string
  readonly build_schedule: string
  readonly export_schedule: string
  readonly prune_schedule: string
  readonly verify_schedule: string
  readonly drill_schedule: string
  readonly verify_budget: number
  readonly keep_snapshots: string
  readonly keep_cars: string
  readonly after_export: string | null
  readonly offsite: string | null
  readonly keep_offsite: string
  readonly alert_webhook: string | null
  readonly alert_webhook_shape: 'generic' | 'slack'
  readonly alert_command: string | null
  readonly health_interval: number
  readonly max_snapshot_age: number
  readonly max_car_age: number
  readonly max_offsite_age: number
  readonly max_drill_age: number
  readonly max_backups_bytes: number
  readonly require_sync: 'no' | 'yes'
}

type Settings = { readonly [K in keyof ServiceValues]: Setting<ServiceValues[K]> }

const SERVE = ['serve']
/** What judges health is asked by both. */
const HEALTH = ['serve', 'health']
const NEVER = '"never" switches it off'

export const SERVICE_SETTINGS: Settings = {
  // --- How it listens -------------------------------------------------------------------------------
  host: {
    kind: text,
    env: ['CAIRN_HOST'],
    flag: '--host <address>',
    commands: SERVE,
    fallback: () => '127.0.0.1',
    description:
      'the address to listen on; one beyond loopback needs a token and TLS, or a proxy that has it',
  },
  port: {
    kind: wholeNumber(0, 65_535),
    env: ['CAIRN_PORT', 'PORT'],
    flag: '--port <n>',
    commands: SERVE,
    fallback: () => 3000,
    description: 'the port to listen on; 0 is any free one',
  },
  tls_cert: {
    kind: optionalText,
    env: ['CAIRN_TLS_CERT'],
    flag: '--tls-cert <file>',
    commands: SERVE,
    fallback: () => null,
    description: 'the certificate chain (PEM) for HTTPS',
  },
  tls_key: {
    kind: optionalText,
    env: ['CAIRN_TLS_KEY'],
    flag: '--tls-key <file>',
    commands: SERVE,
    fallback: () => null,
    description: 'its secret key (PEM)',
  },
  behind_proxy: {
    kind: oneOf('no', 'yes'),
    env: ['CAIRN_BEHIND_PROXY'],
    flag: '--behind-proxy',
    commands: SERVE,
    fallback: () => 'no',
    description: 'a proxy in front has the TLS, and tells who asks; the flag alone means yes',
  },
  tokens_file: {
    kind: text,
    env: ['CAIRN_TOKENS_FILE'],
    flag: '--tokens-file <file>',
    commands: ['serve', 'token create', 'token list', 'token revoke'],
    fallback: ({ data_dir }) => `${data_dir}/tokens.json`,
    fallbackText: 'DATA_DIR/tokens.json',
    description: 'where the hashes of tokens are; once it has one, every request needs a token',
  },
  cors_origins: {
    kind: list,
    env: ['CAIRN_CORS_ORIGINS'],
    flag: '--cors-origins <list>',
    commands: SERVE,
    fallback: () => [],
    fallbackText: 'none',
    description: 'origins whose pages may ask, between commas',
  },
  page: {
    kind: oneOf('on', 'off'),
    env: ['CAIRN_PAGE'],
    flag: '--page <mode>',
    commands: SERVE,
    fallback: () => 'on',
    description: 'the page at `/`, for people',
  },
  gateway: {
    kind: oneOf('off', 'read', 'public'),
    env: ['CAIRN_GATEWAY'],
    flag: '--gateway <who>',
    commands: SERVE,
    fallback: () => 'read',
    description:
      'who gets blocks and CARs under `/ipfs/`: who may read, or anybody what kept snapshots reach',
  },
  rate_limit: {
    kind: wholeNumber(0, 1_000_000),
    env: ['CAIRN_RATE_LIMIT'],
    flag: '--rate-limit <n>',
    commands: SERVE,
    fallback: () => 0,
    description: 'requests a second for each token, or address without one; 0 is no limit',
  },
  body_limit: {
    kind: bytes,
    env: ['CAIRN_BODY_LIMIT'],
    flag: '--body-limit <size>',
    commands: SERVE,
    fallback: () => 16 << 20,
    fallbackText: '16MiB',
    description: 'the largest body of a request that is not a CAR',
  },
  upload_limit: {
    kind: bytes,
    env: ['CAIRN_UPLOAD_LIMIT'],
    flag: '--upload-limit <size>',
    commands: SERVE,
    fallback: () => 4 * 2 ** 30,
    fallbackText: '4GiB',
    description: 'the largest CAR that may be uploaded',
  },
  upload_deadline: {
    kind: duration,
    env: ['CAIRN_UPLOAD_DEADLINE'],
    flag: '--upload-deadline <time>',
    commands: SERVE,
    fallback: () => 3_600_000,
    fallbackText: '1h',
    description: 'how long its upload may take',
  },
  request_deadline: {
    kind: duration,
    env: ['CAIRN_REQUEST_DEADLINE'],
    flag: '--request-deadline <time>',
    commands: SERVE,
    fallback: () => 60_000,
    fallbackText: '60s',
    description: 'how long a request may take that is no stream, upload or download',
  },
  shutdown_deadline: {
    kind: duration,
    env: ['CAIRN_SHUTDOWN_DEADLINE'],
    flag: '--shutdown-deadline <time>',
    commands: SERVE,
    fallback: () => 25_000,
    fallbackText: '25s',
    description: 'how long ending may take: requests under way, the last snapshot, then the exit',
  },
  api_pointer: {
    kind: oneOf('arke-v1', 'arke-v2'),
    env: ['CAIRN_API_POINTER'],
    flag: '--api-pointer <shape>',
    commands: SERVE,
    fallback: () => 'arke-v1',
    description: 'the shape of `GET /index-pointer` for clients of the older system',
  },
  log_file: {
    kind: optionalText,
    env: ['CAIRN_LOG_FILE', 'LOG_FILE'],
    flag: '--log-file <file>',
    commands: SERVE,
    fallback: () => null,
    description: 'log into this file instead of stderr; SIGHUP opens it anew, for rotation',
  },
  log_format: {
    kind: oneOf('auto', 'json', 'pretty'),
    env: ['CAIRN_LOG_FORMAT'],
    flag: '--log-format <format>',
    commands: SERVE,
    fallback: () => 'auto',
    description: 'json lines, or pretty for people; auto is pretty on a terminal',
  },
  // --- What it does by itself -----------------------------------------------------------------------
  save_interval: {
    kind: wholeNumber(0, 31_622_400),
    env: ['CAIRN_SAVE_INTERVAL', 'SAVE_INTERVAL'],
    flag: '--save-interval <seconds>',
    commands: SERVE,
    fallback: () => 0,
    description: 'build a snapshot every so many seconds if anything is new; 0 switches it off',
  },
  save_rules: {
    kind: text,
    env: ['CAIRN_SAVE'],
    flag: '--save <rules>',
    commands: SERVE,
    fallback: () => '3600:1,300:100,60:10000',
    description:
      'SECONDS:ENTRIES, ...: build when so many are new since so long; "never" switches it off',
  },
  alert_threshold: {
    kind: wholeNumber(0, 10_000_000),
    env: ['CAIRN_ALERT_THRESHOLD', 'ALERT_THRESHOLD'],
    flag: '--alert-threshold <n>',
    commands: HEALTH,
    fallback: ({ chain_limit }) => Math.max(1, Math.floor(chain_limit * 0.7)),
    fallbackText: '70% of the chain limit',
    description: 'recent entries above which the dataset counts as unhealthy',
  },
  max_lag: {
    kind: span,
    env: ['CAIRN_MAX_LAG'],
    flag: '--max-lag <time>',
    commands: SERVE,
    fallback: () => 86_400_000,
    fallbackText: '24h',
    description: 'build at the latest when the oldest entry without a snapshot is so old; 0: never',
  },
  time_zone: {
    kind: text,
    env: ['CAIRN_TIME_ZONE'],
    flag: '--time-zone <zone>',
    commands: SERVE,
    fallback: () => 'UTC',
    description: 'the time zone of the schedules, such as Europe/Berlin',
  },
  build_schedule: schedule('build', '0 2 * * *', 'when to build a snapshot if anything is new'),
  export_schedule: schedule('export', '0 3 * * 0', 'when to export a CAR into the backups folder'),
  prune_schedule: schedule('prune', '0 4 * * *', 'when to prune snapshots and CARs'),
  verify_schedule: schedule('verify', '0 5 * * *', 'when to verify the store, oldest proved first'),
  drill_schedule: schedule('drill', '0 6 1 * *', 'when to try the newest CAR in a scratch store'),
  verify_budget: {
    kind: duration,
    env: ['CAIRN_VERIFY_BUDGET'],
    flag: '--verify-budget <time>',
    commands: SERVE,
    fallback: () => 300_000,
    fallbackText: '5m',
    description: 'how long one scheduled verification may take',
  },
  keep_snapshots: {
    kind: text,
    env: ['CAIRN_KEEP_SNAPSHOTS'],
    flag: '--keep-snapshots <rules>',
    commands: SERVE,
    fallback: () => 'last=10,hourly=24,daily=30,monthly=12',
    description: `the snapshots that a scheduled prune keeps, as \`cairn prune\` does; ${NEVER}`,
  },
  keep_cars: {
    kind: text,
    env: ['CAIRN_KEEP_CARS'],
    flag: '--keep-cars <rules>',
    commands: SERVE,
    fallback: () => 'last=3,daily=7,weekly=4,monthly=12',
    description: `the CARs that it keeps; ${NEVER}`,
  },
  after_export: {
    kind: optionalText,
    env: ['CAIRN_AFTER_EXPORT'],
    flag: '--after-export <command>',
    commands: SERVE,
    fallback: () => null,
    description: "run by the shell after an export; $1 is the CAR's path",
  },
  offsite: {
    kind: optionalText,
    env: ['CAIRN_OFFSITE'],
    flag: '--offsite <address>',
    commands: ['export-car', 'serve', 'health', 'coverage'],
    fallback: () => null,
    description: 'where CARs are copied after an export: s3://BUCKET/PREFIX; keys come from AWS_*',
  },
  keep_offsite: {
    kind: text,
    env: ['CAIRN_KEEP_OFFSITE'],
    flag: '--keep-offsite <rules>',
    commands: ['export-car', 'serve', 'offsite push', 'offsite prune'],
    fallback: () => 'daily=30,weekly=12,monthly=12',
    description: `the copies that stay there; ${NEVER}`,
  },
  // --- What counts as healthy, and who is told ------------------------------------------------------
  alert_webhook: {
    kind: optionalText,
    env: ['CAIRN_ALERT_WEBHOOK'],
    fallback: () => null,
    secret: true,
    description: 'a URL that is told when health changes',
  },
  alert_webhook_shape: {
    kind: oneOf('generic', 'slack'),
    env: ['CAIRN_ALERT_WEBHOOK_SHAPE'],
    flag: '--alert-webhook-shape <shape>',
    commands: SERVE,
    fallback: () => 'generic',
    description: 'the JSON that it is sent',
  },
  alert_command: {
    kind: optionalText,
    env: ['CAIRN_ALERT_COMMAND'],
    flag: '--alert-command <command>',
    commands: SERVE,
    fallback: () => null,
    description: 'run by the shell when health changes; $1 is the subject, the text comes on stdin',
  },
  health_interval: {
    kind: duration,
    env: ['CAIRN_HEALTH_INTERVAL'],
    flag: '--health-interval <time>',
    commands: SERVE,
    fallback: () => 60_000,
    fallbackText: '60s',
    description: 'how often health is looked at',
  },
  max_snapshot_age: age('max_snapshot_age', 48, 'how old a snapshot may be while entries wait'),
  max_car_age: {
    ...age('max_car_age', 0, 'how old the newest CAR may be while it lacks entries'),
    fallbackText: 'twice the time between scheduled exports, at least 48h',
  },
  max_offsite_age: {
    ...age('max_offsite_age', 48, 'how old the newest offsite copy may be while it lacks entries'),
    commands: [...HEALTH, 'coverage'],
  },
  max_drill_age: age('max_drill_age', 35 * 24, 'how long ago the newest drill may be'),
  max_backups_bytes: {
    kind: bytes,
    env: ['CAIRN_MAX_BACKUPS_BYTES'],
    flag: '--max-backups-bytes <size>',
    commands: HEALTH,
    fallback: () => 0,
    description: 'the size of the backups folder above which to warn; 0 is no limit',
  },
  require_sync: {
    kind: oneOf('no', 'yes'),
    env: ['CAIRN_REQUIRE_SYNC'],
    flag: '--require-sync',
    commands: HEALTH,
    fallback: () => 'no',
    description:
      'a store that does not sync what it acknowledges is unhealthy; the flag alone means yes',
  },
}

function schedule(job: string, cron: string, description: string): Setting<string> {
  return {
    kind: text,
    env: [`CAIRN_${job.toUpperCase()}_SCHEDULE`],
    flag: `--${job}-schedule <cron>`,
    commands: SERVE,
    fallback: () => cron,
    description: `${description}; ${NEVER}`,
  }
}

function age(name: string, hours: number, description: string): Setting<number> {
  return {
    kind: span,
    env: [`CAIRN_${name.toUpperCase()}`],
    flag: `--${name.replaceAll('_', '-')} <time>`,
    commands: HEALTH,
    fallback: () => hours * 3_600_000,
    ...(hours === 0 ? {} : { fallbackText: `${hours}h` }),
    description,
  }
}
