/** Options that the commands on backups share. */
import { readIdentities } from '../car/age.ts'
import { duration, type Kind } from '../config/kinds.ts'
import { CairnError } from '../errors.ts'
import type { CommandContext } from './command.ts'
import type { Options } from './options.ts'

/** The text of an option, read as settings of that kind are. */
export function kindOption<T>(kind: Kind<T>, flag: string, text: string): T {
  try {
    return kind.parse(text)
  } catch (cause) {
    throw new CairnError('usage', `${flag} cannot be "${text.slice(0, 60)}".`, {
      hint: `Give ${cause instanceof Error ? cause.message : kind.shape}.`,
    })
  }
}

/** Milliseconds. */
export function durationOption(options: Options, flag: string): number | undefined {
  const text = options.text(flag)
  return text === undefined ? undefined : kindOption(duration, flag, text)
}

/** The secret keys in the files of `--identity`. */
export async function identitiesOption({ options }: CommandContext): Promise<string[]> {
  const identities: string[] = []
  for (const path of options.texts('--identity') ?? [])
    identities.push(...(await readIdentities(path)))
  return identities
}
