/**
 * One environment per folder and process. lmdb must not be opened twice in a process: opening takes the
 * writer's lock synchronously, and a transaction of the first opening may hold it while it waits for
 * this very thread. So all openings of a folder share an environment; the last to close it ends it.
 */
import { mkdir, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { openEnvironment } from './environment.ts'
import type { Environment, EnvironmentOptions } from './environment.ts'
import { storeError } from './errors.ts'
import { storeNotFound } from './tables.ts'

export interface Opening {
  readonly environment: Environment
  release(): Promise<void>
}

class Shared {
  readonly environment: Environment
  #users = 0
  #ending: Promise<void> | undefined

  constructor(environment: Environment) {
    this.environment = environment
  }

  get usable(): boolean {
    return this.#ending === undefined && this.environment.inPlace()
  }

  /** Settles at once, unless the last user has left and the environment is being closed. */
  async ending(): Promise<void> {
    await this.#ending
  }

  use(forget: () => void): Opening {
    this.#users++
    return {
      environment: this.environment,
      release: async (): Promise<void> => {
        if (--this.#users > 0) return
        this.#ending = this.environment.close().finally(forget)
        await this.#ending
      },
    }
  }
}

const OPEN = new Map<string, Promise<Shared>>()

export async function openShared(options: EnvironmentOptions): Promise<Opening> {
  const dir = await trueName(options)
  for (;;) {
    const known = OPEN.get(dir)
    if (known === undefined) return await openFirst({ ...options, dir })
    const shared = await known.catch(() => undefined)
    if (shared?.usable === true) return shared.use(() => forget(dir, known))
    await shared?.ending()
    forget(dir, known)
  }
}

async function openFirst(options: EnvironmentOptions): Promise<Opening> {
  const { dir } = options
  const opening = openEnvironment(options).then((environment) => new Shared(environment))
  OPEN.set(dir, opening)
  try {
    return (await opening).use(() => forget(dir, opening))
  } catch (error) {
    forget(dir, opening)
    throw error
  }
}

function forget(dir: string, opening: Promise<Shared>): void {
  if (OPEN.get(dir) === opening) OPEN.delete(dir)
}

/** The folder's one true name; the folder is made if it is missing and may be made. */
async function trueName({ dir, create }: EnvironmentOptions): Promise<string> {
  try {
    if (create) await mkdir(dir, { mode: 0o700, recursive: true })
    else await stat(join(dir, 'data.mdb'))
    return await realpath(dir)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw storeNotFound(dir)
    }
    throw storeError(error, dir)
  }
}
