/** What the table of settings says of each. */
import type { Kind } from './kinds.ts'

/** The settings that the defaults of others are made from. */
export interface Basis {
  readonly data_dir: string
  readonly chain_limit: number
}

export interface Setting<T> {
  readonly kind: Kind<T>
  /** Names in the environment, the first one Cairn's own, the others of older programs. */
  readonly env: readonly string[]
  /** As commander writes it; absent where a flag would show a secret to everyone on the machine. */
  readonly flag?: string
  /** The commands that have the flag; all of them unless given. */
  readonly commands?: readonly string[]
  readonly fallback: (basis: Basis) => T
  /** The default in words, where it is no constant. */
  readonly fallbackText?: string
  readonly secret?: boolean
  readonly description: string
}
