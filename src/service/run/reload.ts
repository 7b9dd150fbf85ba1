/** Taking new settings while the service runs. What the start alone can take stays as it was, and is named. */
import { readFileSync } from 'node:fs'
import { Server as TlsServer } from 'node:https'
import type { Config } from '../../config/resolve.ts'
import { SETTING_NAMES, type SettingName } from '../../config/schema.ts'
import { toCairnError } from '../../errors.ts'
import type { Running } from './shutdown.ts'

/** The store, the address and the server itself are made from these, once. */
const FIXED: ReadonlySet<SettingName> = new Set<SettingName>([
  'data_dir',
  'store',
  'dataset',
  'kubo_url',
  'kubo_token',
  'index_pointer_path',
  'compat',
  'compat_path',
  'compat_force',
  'deadline',
  'replicas',
  'replica_ack',
  'replica_deadline',
  'cache_bytes',
  'content',
  'chunk_size',
  'chain_limit',
  'host',
  'port',
  'tls_cert',
  'tls_key',
  'behind_proxy',
  'tokens_file',
  'cors_origins',
  'page',
  'gateway',
  'body_limit',
  'upload_deadline',
  'request_deadline',
  'log_file',
  'log_format',
])

export function reloader(
  { service, app }: Running,
  current: () => Config,
  set: (config: Config) => void,
): (config: Config) => void {
  const { log, tokens, automation, health } = service
  return (given) => {
    const before = current()
    const { next, changed, fixed } = merged(before, given)
    tokens.reload()
    try {
      health.reload(next.values, next.origins)
      automation.reload(next.values)
      renewCertificate(app.server, next)
      set(next)
      log.info('settings.reloaded', { message: 'The settings were read again.', changed, fixed })
    } catch (error) {
      // Health may have taken what the automation has refused.
      health.reload(before.values, before.origins)
      automation.reload(before.values)
      const { code, message } = toCairnError(error)
      log.error('settings.refused', { code, message: `The settings stay as they were. ${message}` })
    }
  }
}

interface Merged {
  readonly next: Config
  readonly changed: readonly string[]
  /** Those that need a new start. */
  readonly fixed: readonly string[]
}

function merged(before: Config, given: Config): Merged {
  const differs = (name: SettingName): boolean =>
    JSON.stringify(before.values[name]) !== JSON.stringify(given.values[name])
  const other = SETTING_NAMES.filter(differs)
  const pick = <T extends object>(old: T, fresh: T): T =>
    Object.fromEntries(
      Object.entries(fresh).map(([name, value]) => [
        name,
        FIXED.has(name as SettingName) ? (old as Record<string, unknown>)[name] : value,
      ]),
    ) as T
  return {
    next: {
      values: pick(before.values, given.values),
      origins: pick(before.origins, given.origins),
      file: given.file,
    },
    changed: other.filter((name) => !FIXED.has(name)),
    fixed: other.filter((name) => FIXED.has(name)),
  }
}

/** Connections that are there keep the old one. */
function renewCertificate(server: unknown, { values: { tls_cert, tls_key } }: Config): void {
  if (!(server instanceof TlsServer) || tls_cert === null || tls_key === null) return
  server.setSecureContext({ cert: readFileSync(tls_cert), key: readFileSync(tls_key) })
}
