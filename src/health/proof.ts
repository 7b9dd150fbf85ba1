/**
 * What the ledgers of `cairn verify` know of a dataset, without changing them: a line of JSON for each
 * part, the first says whose they are. One that is being replaced is read as it was.
 */
import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { CairnError } from '../errors.ts'
import { ifAbsent } from '../util/system-error.ts'
import type { ProofFacts } from './observation.ts'

export interface LedgerOwner {
  readonly dataset: string
  readonly identity: string
}

const NOTHING: ProofFacts = { parts: 0, never: 0, problems: 0, oldest: undefined }

export async function readProof(folder: string, owner: LedgerOwner): Promise<ProofFacts> {
  const names = (await readdir(folder).catch(ifAbsent)) ?? []
  let facts = NOTHING
  for (const name of names.filter((one) => one.endsWith('.ndjson')))
    facts = await addLedger(facts, join(folder, name), owner)
  return facts
}

async function addLedger(
  before: ProofFacts,
  path: string,
  owner: LedgerOwner,
): Promise<ProofFacts> {
  const stream = createReadStream(path, 'utf8')
  let facts = before
  let first = true
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
      const record = parseLine(line, path)
      if (first && (record['dataset'] !== owner.dataset || record['identity'] !== owner.identity))
        return before
      if (!first) facts = addPart(facts, record, path)
      first = false
    }
  } finally {
    stream.destroy()
  }
  return facts
}

function addPart(
  { parts, never, problems, oldest }: ProofFacts,
  { proved, problems: listed, unlisted }: Readonly<Record<string, unknown>>,
  path: string,
): ProofFacts {
  const isProved = typeof proved === 'number'
  if (!Array.isArray(listed) || typeof unlisted !== 'number' || !(isProved || proved === null))
    throw unreadable(path)
  return {
    parts: parts + 1,
    never: never + (isProved ? 0 : 1),
    problems: problems + listed.length + unlisted,
    oldest: isProved ? Math.min(oldest ?? proved, proved) : oldest,
  }
}

function parseLine(line: string, path: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // Told below.
  }
  throw unreadable(path)
}

function unreadable(path: string): CairnError {
  return new CairnError('invalid_block', `The ledger ${path} cannot be read.`, {
    hint: 'Run `cairn verify`, which begins a new one.',
    path,
  })
}
