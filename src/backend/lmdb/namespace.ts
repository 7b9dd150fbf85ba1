/**
 * Keeps processes of different PID namespaces (two containers on one volume) off the same store.
 *
 * lmdb tells its writers and readers apart by their process numbers, which mean nothing across such
 * namespaces: there, processes lock each other up. So each process registers before it opens the
 * store, and goes away again when it finds one of another namespace alive.
 *
 * A process cannot look at those of another namespace, so its registration is a listening socket in
 * the store's folder, named by its namespace and number: one connects to it across namespaces, and
 * when its process dies, however it dies, the kernel refuses the next connection. Unlike a heartbeat
 * that is exact: a container that was killed can be started again at once, and a process that is busy
 * for half a minute, or stopped, or has the wrong time, is not taken for dead.
 *
 * Registering comes before looking, so of two that open at the same time one sees the other at least
 * (and perhaps both give way). A socket gets its final name only once it listens: whoever finds that
 * name refused may delete it.
 */
import { randomBytes } from 'node:crypto'
import { chmod, mkdir, open, readdir, readlink, rename, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { CairnError } from '../../errors.ts'

const FOLDER = 'processes'
const UNFINISHED = 'new-'
const CLAIM = 'alone-'

export interface Registration {
  /**
   * Claims the store for this process alone: `busy` while another has it open; and until the claim is
   * released no other opens it. Like registering it comes before looking: of a process that claims and
   * one that opens at the same time, one sees the other at least.
   */
  claim(): Promise<Claim>
  release(): Promise<void>
}

export interface Claim {
  release(): Promise<void>
}

/** This process's PID namespace, or undefined where the system has none (macOS). */
export async function ownPidNamespace(): Promise<string | undefined> {
  try {
    return (await readlink('/proc/self/ns/pid')).replace(/\D/g, '')
  } catch {
    return undefined
  }
}

/** Registers this process in `dir`; `busy` while a process of another namespace lives there. */
export async function register(dir: string, namespace: string): Promise<Registration> {
  const folder = join(dir, FOLDER)
  await mkdir(folder, { mode: 0o700, recursive: true })
  const name = `${namespace}-${process.pid}-${randomBytes(4).toString('hex')}`
  const socket = await listen(folder, name)
  const registration = { ...socket, claim: async () => await claim(folder, name) }
  try {
    for (const other of await livingOthers(folder, [name])) {
      if (other.startsWith(CLAIM)) throw claimed(folder)
      if (!other.startsWith(`${namespace}-`)) throw foreign(folder, other)
    }
  } catch (error) {
    await registration.release()
    throw error
  }
  return registration
}

async function claim(folder: string, own: string): Promise<Claim> {
  const name = CLAIM + own
  const socket = await listen(folder, name)
  try {
    const [other] = await livingOthers(folder, [own, name])
    if (other !== undefined) throw openElsewhere(folder, other)
  } catch (error) {
    await socket.release()
    throw error
  }
  return socket
}

/** Who else is registered and lives; what the dead have left is deleted. */
async function livingOthers(folder: string, own: readonly string[]): Promise<string[]> {
  const living: string[] = []
  for (const name of await readdir(folder)) {
    if (name.startsWith(UNFINISHED) || own.includes(name)) continue
    if (await answers(folder, name)) living.push(name)
    else await rm(join(folder, name), { force: true })
  }
  return living
}

/**
 * A socket's path has at most 107 bytes, a store's folder any number: so sockets are named by an open
 * folder of this process.
 */
async function withShortPath<T>(folder: string, use: (path: string) => Promise<T>): Promise<T> {
  const handle = await open(folder)
  try {
    return await use(`/proc/self/fd/${handle.fd}`)
  } finally {
    await handle.close()
  }
}

/** A socket under a name, until it is released. */
async function listen(folder: string, name: string): Promise<Claim> {
  const unfinished = UNFINISHED + name
  const server = createServer((socket) => socket.destroy())
  await withShortPath(
    folder,
    async (short) =>
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        // `exclusive`: a worker of a cluster listens by itself, not through its parent.
        server.listen({ path: `${short}/${unfinished}`, exclusive: true }, resolve)
      }),
  )
  server.unref()
  await chmod(join(folder, unfinished), 0o600)
  await rename(join(folder, unfinished), join(folder, name))
  return {
    release: async () => {
      await rm(join(folder, name), { force: true })
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Whether the process behind a socket lives. What cannot be told counts as alive. */
async function answers(folder: string, name: string): Promise<boolean> {
  return await withShortPath(
    folder,
    async (short) =>
      await new Promise<boolean>((resolve) => {
        const socket = connect(`${short}/${name}`)
        socket.once('connect', () => {
          socket.destroy()
          resolve(true)
        })
        socket.once('error', (error: NodeJS.ErrnoException) => {
          resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT')
        })
      }),
  )
}

function foreign(folder: string, other: string): CairnError {
  return new CairnError(
    'busy',
    'A process in another container (another PID namespace) has this store open.',
    {
      hint: 'Run the Cairn service in one container and let the others go through it.',
      path: folder,
      process: other,
    },
  )
}

function claimed(folder: string): CairnError {
  return new CairnError('busy', 'This store is being compacted.', {
    hint: 'Wait until that has finished.',
    path: folder,
  })
}

function openElsewhere(folder: string, other: string): CairnError {
  const pid = other.split('-').at(-2) ?? ''
  return new CairnError('busy', `Process ${pid} has this store open.`, {
    hint: 'End what else uses the store, then try again.',
    path: folder,
    process: other,
  })
}
