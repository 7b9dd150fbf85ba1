/**
 * What is killed. Each operation says how a store is filled for it, what the worker is told, and what must
 * hold after its death, whenever that was.
 */
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import type { Backend } from '../../src/store/backend.ts'
import { verifyDataset } from '../../src/verify/verify.ts'
import type { Ground } from './ground.ts'
import { compareEntities, type Ack, type Whole } from './look.ts'

export type OperationName = 'export' | 'restore' | 'prune'

export interface Operation<T = unknown> {
  readonly name: OperationName
  /** The step that is its first effect. */
  readonly first: string
  /** What a process appends to meanwhile. */
  readonly append: Readonly<Record<string, unknown>>
  fill(backend: Backend): Promise<T>
  options(ground: Ground): Readonly<Record<string, unknown>>
  /** What does not hold. */
  check(ground: Ground, filled: T, acks: readonly Ack[]): Promise<string[]>
  dispose(): Promise<void>
}

export async function withBackend<T>(
  ground: Ground,
  use: (backend: Backend) => Promise<T>,
): Promise<T> {
  const backend = await ground.open()
  try {
    return await use(backend)
  } finally {
    await backend.close()
  }
}

/** The project's own opinion, beside the one of look.ts. */
export async function verified(
  backend: Backend,
  name: string,
  { folder }: Ground,
): Promise<string[]> {
  const ledgerDir = await mkdtemp(join(folder, 'ledger-'))
  const { verdict, problems } = await verifyDataset(backend, name, {
    mode: { kind: 'full' },
    ledgerDir,
  })
  return verdict === 'sound' ? [] : [`verify: ${verdict}, ${JSON.stringify(problems.slice(0, 3))}`]
}

/** Whether a restored dataset is the one that was exported. */
export function sameState(restored: Whole, source: Whole): string[] {
  const problems = [
    ...compareEntities('restored', restored.current, source.current),
    ...compareEntities('source', source.current, restored.current),
  ]
  if (restored.root !== source.root)
    problems.push(`the root is ${restored.root}, not ${source.root}`)
  if (restored.current.size !== source.current.size)
    problems.push(`${restored.current.size} entities, not ${source.current.size}`)
  return problems
}
