/** Inputs on disk: `fixtures/fuzz/TARGET/` is what the project keeps, `fixtures/fuzz/found/` what once failed. */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Target } from './target.ts'

export const KEPT = 'fixtures/fuzz'
export const FOUND: string = join(KEPT, 'found')
/** What long runs collect, from night to night. */
export const CACHE = 'node_modules/.cache/cairn-fuzz-corpus'

export function readInputs(folder: string): Uint8Array[] {
  return namesIn(folder).map((name) => Uint8Array.from(readFileSync(join(folder, name))))
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}

/** Those of a target are called `TARGET-HASH`. */
export function foundOf({ name }: Pick<Target, 'name'>): Uint8Array[] {
  return namesIn(FOUND)
    .filter((file) => file.replace(/-[0-9a-f]{12}$/, '') === name)
    .map((file) => Uint8Array.from(readFileSync(join(FOUND, file))))
}

export function startOf(target: Target): Uint8Array[] {
  const all = [
    ...target.seeds().map((seed) => Uint8Array.from(seed)),
    ...readInputs(join(KEPT, target.name)),
    ...foundOf(target),
  ]
  return distinct(all)
}

function distinct(inputs: readonly Uint8Array[]): Uint8Array[] {
  return [...new Map(inputs.map((one) => [hashOf(one), one])).values()]
}

export function save(folder: string, input: Uint8Array, prefix = ''): string {
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `${prefix}${hashOf(input)}`)
  writeFileSync(path, input)
  return path
}

export function replaceAll(folder: string, inputs: readonly Uint8Array[]): void {
  rmSync(folder, { recursive: true, force: true })
  for (const input of inputs) save(folder, input)
}

const hashOf = (input: Uint8Array): string =>
  createHash('sha256').update(input).digest('hex').slice(0, 12)
