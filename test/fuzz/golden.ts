/** The files of the project's fixtures that serve as seeds. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

interface GoldenRecord {
  readonly kind: string
  readonly hex?: string
  readonly text?: string
}

let records: readonly GoldenRecord[] | undefined

/** The encoded records of a kind: what the project's own encoders write. */
export function golden(kind: string): Uint8Array[] {
  records ??= JSON.parse(readFileSync('fixtures/golden/records.json', 'utf8')) as GoldenRecord[]
  return records
    .filter((one) => one.kind === kind)
    .map(({ hex, text }) => (hex === undefined ? Buffer.from(text ?? '') : Buffer.from(hex, 'hex')))
}

/** All files of a folder of fixtures with this ending, up to so many bytes. */
export function fixtureFiles(
  folder: string,
  ending: string,
  maxBytes: number = 64 * 1024,
): Uint8Array[] {
  return readdirSync(join('fixtures', folder))
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => readFileSync(join('fixtures', folder, name)))
    .filter(({ length }) => length <= maxBytes)
}
