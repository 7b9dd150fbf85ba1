/**
 * Tokens: which one was shown, asked at every request. The file is looked at again a second later at most,
 * so that a revoked token is refused soon. What cannot be read leaves everything as it was: neither a
 * damaged nor a vanished file opens the service.
 */
import { timingSafeEqual } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import type { Logger } from '../../engine/logger.ts'
import type { Right } from './rights.ts'
import { hashToken, parseTokens, type TokenRecord } from './token-file.ts'

export interface Token {
  readonly id: string
  readonly name: string
  readonly right: Right
  readonly datasets: ReadonlySet<string> | undefined
}

export interface Tokens {
  /** There is one, or there was one since this process began. */
  readonly any: () => boolean
  readonly find: (text: string) => Token | undefined
  /** Reads the file again, at once. */
  readonly reload: () => void
}

interface Known extends Token {
  readonly hash: Buffer
}

export interface TokensOptions {
  readonly path: () => string
  readonly log: Logger
  /** Milliseconds that only go forward. */
  readonly clock?: () => number
}

const LOOK_EVERY_MS = 1000

/** Throws `config` when there is a file that cannot be used. */
export function openTokens({ path, log, clock = () => performance.now() }: TokensOptions): Tokens {
  let known = read(path()) ?? []
  let seen = stampOf(path())
  let looked = clock()
  let ever = known.length > 0

  const take = (): void => {
    const file = path()
    try {
      const stamp = stampOf(file)
      const next = read(file)
      if (next === undefined) {
        if (known.length > 0 && seen !== undefined) {
          log.error('tokens.gone', {
            message: 'The file of tokens is gone; the tokens stay as they were.',
          })
        }
      } else {
        known = next
        ever ||= known.length > 0
        log.info('tokens.read', { count: known.length })
      }
      seen = stamp
    } catch (error) {
      seen = undefined
      log.error('tokens.unreadable', { message: String(error) })
    }
  }
  const look = (): void => {
    if (clock() - looked < LOOK_EVERY_MS) return
    looked = clock()
    if (stampOf(path()) !== seen) take()
  }
  return {
    any: () => {
      look()
      return ever
    },
    find: (text) => {
      look()
      return match(known, text)
    },
    reload: take,
  }
}

/** Looks at every token, whichever fits. */
function match(known: readonly Known[], text: string): Token | undefined {
  const hash = hashToken(text)
  let found: Known | undefined
  for (const one of known) if (timingSafeEqual(one.hash, hash)) found = one
  return found
}

/** Undefined where there is no file. */
function read(path: string): Known[] | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  return parseTokens(text, path).map(toKnown)
}

function toKnown({ id, name, right, datasets, sha256 }: TokenRecord): Known {
  const only = datasets === undefined ? undefined : new Set(datasets)
  return { id, name, right, datasets: only, hash: Buffer.from(sha256, 'hex') }
}

/** Another one when the file was replaced or written to. */
function stampOf(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat === undefined ? undefined : `${stat.ino}:${stat.size}:${stat.mtimeMs}`
}
