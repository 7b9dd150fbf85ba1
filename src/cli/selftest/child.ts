/**
 * The process of a self-test that runs one operation and kills itself at one of its durable steps: started by
 * kills.ts with its orders as JSON, it says in lines of JSON what it has done, each before it goes on.
 */
import { writeSync } from 'node:fs'
import { Cairn } from '../../cairn.ts'
import { openBackend } from '../../compose.ts'
import { toCairnError } from '../../errors.ts'
import { watchBackend, watchFiles } from './effects.ts'
import { runOperation, type Ack, type Ground, type OperationName } from './operations.ts'

/** `before` the step, or while it is `during`: begun and not yet answered. */
export type Moment = 'before' | 'during'

export interface Orders {
  readonly operation: OperationName
  readonly ground: Ground
  /** The step at which it dies, counted from 0; null: it lives. */
  readonly dieAt: number | null
  readonly moment: Moment
}

export type Told = { readonly step: string } | { readonly ack: Ack } | { readonly error: string }

const say = (told: Told): void => void writeSync(1, `${JSON.stringify(told)}\n`)
const die = (): void => void process.kill(process.pid, 'SIGKILL')

async function obey({ operation, ground, dieAt, moment }: Orders): Promise<void> {
  let steps = 0
  const onEffect = (step: string): (() => void) | undefined => {
    say({ step })
    if (steps++ !== dieAt) return undefined
    if (moment === 'during') return () => void setImmediate(die)
    die()
    return undefined
  }
  const backend = await openBackend(`lmdb:${ground.store}`, { create: false })
  watchFiles(ground.backups, onEffect)
  const cairn = new Cairn(watchBackend(backend, onEffect))
  try {
    await runOperation(operation, cairn, ground, (ack) => say({ ack }))
  } finally {
    await cairn.close()
  }
}

try {
  await obey(JSON.parse(process.argv[2] ?? '') as Orders)
} catch (error) {
  const { code, message } = toCairnError(error)
  say({ error: `${code}: ${message}` })
  process.exitCode = 1
}
