/**
 * Pins. Kubo drops a pin before it makes it again, so a pin that fails half-way takes an older one
 * with it: what is pinned is never pinned again.
 */
import { CairnError } from '../../errors.ts'
import { printCid, type CidBytes } from '../../model/cid.ts'
import type { CallOptions } from '../../store/backend.ts'
import { mapAtOnce } from '../../util/in-order.ts'
import type { KuboClient } from './client.ts'
import { means } from './refusals.ts'
import type { Query } from './rpc.ts'

export type PinType = 'recursive' | 'direct'

const AT_ONCE = 16
/** Keeps the address of a request well under the limits of proxies. */
export const PINS_A_REQUEST: number = 64

async function isPinned(
  client: KuboClient,
  cid: CidBytes,
  type: PinType,
  options?: CallOptions,
): Promise<boolean> {
  try {
    await client.read('pin/ls', { arg: printCid(cid), type }, options)
    return true
  } catch (error) {
    if (means(error, 'notPinned')) return false
    throw error
  }
}

/** Those of `cids` that have none of the pins named. Pins through another block do not count. */
export async function withoutPin(
  client: KuboClient,
  cids: readonly CidBytes[],
  types: readonly PinType[],
  options?: CallOptions,
): Promise<CidBytes[]> {
  const pinned = await mapAtOnce(cids, AT_ONCE, async (cid) => {
    const answers = await Promise.all(types.map((type) => isPinned(client, cid, type, options)))
    return answers.includes(true)
  })
  return cids.filter((_, index) => pinned[index] !== true)
}

/**
 * Pins blocks by themselves, which must have no pin. Rejects with what `means` calls `blockMissing`
 * when one of them is gone.
 */
export async function pinDirectly(
  client: KuboClient,
  cids: readonly CidBytes[],
  options?: CallOptions,
): Promise<void> {
  for (let at = 0; at < cids.length; at += PINS_A_REQUEST) {
    const some = cids.slice(at, at + PINS_A_REQUEST)
    try {
      await client.write('pin/add', directPin(some), undefined, options)
    } catch (error) {
      if (!means(error, 'pinnedRecursively')) throw error
      // Another writer holds one of them deep meanwhile, which is more than was asked for.
      const rest = await withoutPin(client, some, ['recursive', 'direct'], options)
      await pinDirectly(client, rest, options)
    }
  }
}

const directPin = (cids: readonly CidBytes[]): Query => ({
  arg: cids.map(printCid),
  recursive: false,
  offline: true,
  'fast-provide-root': false,
})

/**
 * The error for a root that an import could not pin. An online node looks for a missing block until
 * its deadline, so a pin that took too long is looked into with a walk that says offline.
 */
export async function pinFailure(
  client: KuboClient,
  root: string,
  said: string,
): Promise<CairnError> {
  const slow = /context deadline exceeded/.test(said)
  const why = slow ? ((await missingUnder(client, root)) ?? said) : said
  const missing = /could not find (\S+)/.exec(why)?.[1]
  if (missing !== undefined) {
    return new CairnError(
      'content_missing',
      `The node lacks the block ${missing}, which ${root} links to.`,
      { hint: 'Put the whole content on the node before what links to it.', cid: missing, root },
    )
  }
  if (/no space left|quota exceeded/i.test(why)) {
    return new CairnError('no_space', `The node could not pin ${root}: ${why}`)
  }
  return new CairnError(
    slow ? 'backend_timeout' : 'backend_refused',
    `The node could not pin ${root}: ${why}`,
    slow ? { hint: 'Is there more under it than the node can walk within the deadline?' } : {},
  )
}

/** What the node says of the first block that it lacks under `root`. */
async function missingUnder(client: KuboClient, root: string): Promise<string | undefined> {
  try {
    await client.read('dag/stat', { arg: root, offline: true, progress: false })
    return undefined
  } catch (error) {
    return means(error, 'blockMissing') ? error.said : undefined
  }
}
