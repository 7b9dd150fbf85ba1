/** Of which blocks the gateway knows that they may be given, and that they stay while they are sent. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { releaseLease, takeLease } from '../../engine/lease.ts'
import { CairnError, isCairnError } from '../../errors.ts'
import { published, type Published } from '../../gateway/published.ts'
import { noBlock } from '../../gateway/resolve.ts'
import { bytesEqual, printCid, type CidBytes } from '../../model/cid.ts'
import type { CallOptions } from '../../store/backend.ts'
import type { Service } from '../service.ts'

/** The kept snapshots of all datasets of the store, and what they reach. */
export function publishedBy({ cairn, dataset, backend }: Service): Published {
  return published({
    store: backend,
    version: async (options) => {
      const lists: string[] = []
      for (const name of await cairn.datasets()) {
        const { commit } = await (await dataset(name)).pointer(options)
        lists.push(`${name} ${printCid(commit.kept)}`)
      }
      return lists.join()
    },
    roots: async (options) => {
      const roots: CidBytes[] = []
      for (const name of await cairn.datasets())
        for await (const { cid } of (await dataset(name)).snapshots(options)) roots.push(cid)
      return roots
    },
  })
}

/** How long one waits for the list of what is public. */
const WAIT_MS = 20_000

/** Throws what is thrown for a block that is not there, so that nobody learns which other ones are. */
export async function requirePublished(
  list: Published,
  root: CidBytes,
  { signal }: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const late = AbortSignal.timeout(WAIT_MS)
  const has = list.has(root, AbortSignal.any([signal, late])).catch((error: unknown) => {
    if (!late.aborted || signal.aborted) throw error
    reply.header('retry-after', '5')
    throw new CairnError('overloaded', 'What is public here is still being found out.', {
      hint: 'Wait as long as Retry-After says. The kept snapshots themselves are known at once.',
    })
  })
  if (!(await has)) throw noBlock(root)
}

/**
 * Does the work while no prune takes from the snapshot that `root` is. What is no kept snapshot has no lease: if a
 * prune frees it meanwhile, the work fails.
 */
export async function whileKept<T>(
  service: Service,
  root: CidBytes,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  for (const name of await service.cairn.datasets()) {
    if (!(await isKept(service, name, root, { signal }))) continue
    const lease = await takeLease(
      service,
      { dataset: name, commit: null, snapshots: [root], purpose: 'gateway' },
      { signal },
    )
    try {
      // A prune may have come between.
      if (await isKept(service, name, root, { signal })) return await work()
    } finally {
      await releaseLease(service, lease)
    }
  }
  return work()
}

async function isKept(
  service: Service,
  name: string,
  root: CidBytes,
  options: CallOptions,
): Promise<boolean> {
  try {
    const dataset = await service.dataset(name)
    return bytesEqual((await dataset.snapshot(printCid(root), options)).cid, root)
  } catch (error) {
    if (isCairnError(error, 'not_found')) return false
    throw error
  }
}
