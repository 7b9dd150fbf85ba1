/** What a target of the fuzzer is, and how its oracles speak. */
import { isCairnError, type ErrorCode } from '../../src/errors.ts'
import type { InputKind } from './mutate-bytes.ts'

export interface Target {
  readonly name: string
  /** `FILE:FUNCTION` of `src` that its inputs reach; a test sees to it that they do. */
  readonly covers: readonly string[]
  readonly kind: InputKind
  /** Made by the real encoders, or written by other programs. */
  readonly seeds: () => Uint8Array[]
  readonly tokens?: readonly Uint8Array[]
  readonly maxBytes?: number
  /** An input's time on a quiet machine; three tries decide. */
  readonly mostMs?: number
  /** Makes right again what guards an input against accidents: a check sum, a digest. */
  readonly mend?: (bytes: Uint8Array) => Uint8Array
  /** Throws what must not be. */
  readonly run: (bytes: Uint8Array) => void | Promise<void>
}

/** A promise that was broken, as its oracle tells it. */
export class Violation extends Error {
  override readonly name = 'Violation'
}

export function demand(condition: boolean, promise: string): asserts condition {
  if (!condition) throw new Violation(promise)
}

export const DEFAULT_MAX_BYTES: number = 64 * 1024

/** What `decode` answers; undefined when it refuses with one of `codes`. All else is a finding. */
export function unlessRefused<T>(codes: readonly ErrorCode[], decode: () => T): T | undefined {
  try {
    return decode()
  } catch (error) {
    checkRefusal(codes, error)
    return undefined
  }
}

export async function unlessRefusedLater<T>(
  codes: readonly ErrorCode[],
  decode: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await decode()
  } catch (error) {
    checkRefusal(codes, error)
    return undefined
  }
}

function checkRefusal(codes: readonly ErrorCode[], error: unknown): void {
  if (!isCairnError(error)) throw error
  const { code, message } = error
  if (!codes.includes(code))
    throw new Violation(`refused with ${code}: ${message}`, { cause: error })
  demand(message.length > 10, 'an error says what is wrong')
}

export const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** Tokens from texts; those that begin with `0x` are hex. */
export function tokensOf(...texts: readonly string[]): Uint8Array[] {
  return texts.map((text) =>
    text.startsWith('0x') ? Buffer.from(text.slice(2), 'hex') : Buffer.from(text),
  )
}
