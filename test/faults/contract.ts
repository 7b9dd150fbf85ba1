/**
 * The steps of the contract: every call of a backend and of the handles it gives. The tables are typed, so
 * that a call that is new in the contract does not compile until somebody has said what kind it is.
 */
import type {
  Backend,
  CommitRequest,
  Lease,
  ReadOptions,
  Staging,
  Sweep,
} from '../../src/store/backend.ts'
import type { StepKind, Steps } from './steps.ts'

/**
 * `relies`: an effect when the caller says that it relies on what it finds. `local`: no call of the store.
 * `stream`: a read whose answer comes piece by piece.
 */
type Kind = 'read' | 'relies' | 'effect' | 'stream' | 'local'

type CallsOf<T> = {
  [K in keyof T as T[K] extends (...given: never[]) => unknown ? K : never]: Kind
}

const BACKEND: CallsOf<Required<Backend>> = {
  getBlocks: 'relies',
  hasBlocks: 'relies',
  heal: 'effect',
  readDag: 'stream',
  stage: 'effect',
  newest: 'read',
  getCommit: 'read',
  oldest: 'read',
  datasets: 'read',
  commit: 'effect',
  forget: 'effect',
  lease: 'effect',
  leases: 'read',
  sweeps: 'read',
  sweep: 'effect',
  compact: 'effect',
  status: 'read',
  close: 'local',
}
const STAGING: CallsOf<Staging> = { put: 'effect', flush: 'effect', end: 'effect' }
const LEASE: CallsOf<Lease> = { release: 'effect' }
const SWEEP: CallsOf<Sweep> = { mark: 'effect', offer: 'effect', free: 'effect', end: 'effect' }

/** What the calls that give handles give. */
const HANDLES: Readonly<Record<string, Readonly<Record<string, Kind>>>> = {
  stage: STAGING,
  lease: LEASE,
  sweep: SWEEP,
}

/** The names of all steps that may change a store. */
export function effectsOfContract(): string[] {
  const tables = { backend: BACKEND, staging: STAGING, lease: LEASE, sweep: SWEEP }
  return Object.entries(tables).flatMap(([of, table]) =>
    Object.entries(table)
      .filter(([, kind]) => kind === 'effect')
      .map(([name]) => (of === 'backend' ? name : `${of}.${name}`)),
  )
}

export interface Handle {
  /** Ends it as the store does once its owner is dead for long enough. */
  readonly bury: () => Promise<void>
}

export interface SteppedBackend {
  readonly backend: Backend
  /** What the store has given to this process. */
  readonly handles: readonly Handle[]
}

type Call = (...given: unknown[]) => Promise<unknown>

/** `inner` with each of its calls a step. */
export function steppedBackend(inner: Backend, steps: Steps): SteppedBackend {
  const handles: Handle[] = []
  const innerOf = new WeakMap<object, object>()
  const handle = (of: string, given: object): object => {
    const wrapped = stepped(given, HANDLES[of] ?? {}, steps, `${HANDLE_NAMES[of]}.`)
    innerOf.set(wrapped, given)
    return wrapped
  }
  const giving = async (of: string, call: () => Promise<unknown>): Promise<unknown> => {
    const given = (await call()) as Staging & Lease & Sweep
    handles.push({
      bury: () => (of === 'lease' ? given.release() : given.end('dropped')),
    })
    return given
  }
  const commit = (request: CommitRequest, ...rest: unknown[]): unknown[] => {
    const { staging } = request
    const own = staging === undefined ? undefined : (innerOf.get(staging) as Staging | undefined)
    return [own === undefined ? request : { ...request, staging: own }, ...rest]
  }
  const calls: Record<string, unknown> = {}
  for (const [name, kind] of Object.entries(BACKEND)) {
    const real = (inner as unknown as Record<string, Call | undefined>)[name]
    if (real === undefined) continue
    if (kind === 'local' || kind === 'stream') {
      calls[name] = real.bind(inner)
      continue
    }
    calls[name] = async (...given: unknown[]): Promise<unknown> => {
      const args = name === 'commit' ? commit(...(given as [CommitRequest])) : given
      const work = (): Promise<unknown> => real.apply(inner, args)
      const step = stepOf(name, kind, args[1] as ReadOptions | undefined)
      if (HANDLES[name] === undefined) return steps.take(step, work)
      return handle(name, (await steps.take(step, () => giving(name, work))) as object)
    }
  }
  const backend = { ...calls, kind: inner.kind, location: inner.location } as unknown as Backend
  return { backend, handles }
}

const HANDLE_NAMES: Readonly<Record<string, string>> = {
  stage: 'staging',
  lease: 'lease',
  sweep: 'sweep',
}

/** A handle with each of its calls a step; what is no call stays as it is. */
function stepped(
  given: object,
  table: Readonly<Record<string, Kind>>,
  steps: Steps,
  prefix: string,
): object {
  return new Proxy(given, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      const kind = table[String(name)] ?? 'local'
      return (...args: unknown[]): unknown => {
        const call = (): Promise<unknown> => Reflect.apply(value as Call, target, args)
        if (kind === 'local') return call()
        return steps.take(stepOf(`${prefix}${String(name)}`, kind, undefined), call)
      }
    },
  })
}

function stepOf(name: string, kind: Kind, options: ReadOptions | undefined): StepKind {
  const relies = kind === 'relies' && options?.rely === true
  return {
    name: relies ? `${name} (relies)` : name,
    effect: relies || kind === 'effect',
    reserves: HANDLES[name] !== undefined || /\.(?:end|release)$/.test(name),
    unclear: name === 'commit' ? 'commit_unknown' : 'backend_unavailable',
  }
}
