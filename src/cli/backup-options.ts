/** Options that the commands on backups share. */
import { readIdentities } from '../car/age.ts'
import { duration } from '../config/kinds.ts'
import { CairnError } from '../errors.ts'
import type { CommandContext } from './command.ts'
import { fileError } from './input.ts'
import type { Options } from './options.ts'

/** Milliseconds. */
export function durationOption(options: Options, flag: string): number | undefined {
  const text = options.text(flag)
  if (text === undefined) return undefined
  try {
    return duration.parse(text)
  } catch (cause) {
    throw new CairnError('usage', `${flag} cannot be "${text.slice(0, 60)}".`, {
      hint: `Give ${cause instanceof Error ? cause.message : duration.shape}.`,
    })
  }
}

/** The secret keys in the files of `--identity`. */
export async function identitiesOption({ options }: CommandContext): Promise<string[]> {
  const identities: string[] = []
  for (const path of options.texts('--identity') ?? [])
    identities.push(...(await readIdentities(path)))
  return identities
}

/** What the system says of the files of a backup is told as of those. */
export async function withFiles<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof Error && 'syscall' in error ? fileError(error, path, 'written') : error
  }
}
