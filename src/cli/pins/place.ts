/** What the commands on pins share: the dataset and the cluster, and how pins are told. */
import { openCluster, type Cluster, type Factor } from '../../cluster/client.ts'
import { isShort, isWanted, type PinView } from '../../cluster/view.ts'
import type { PinPlace } from '../../cluster/sync.ts'
import { CairnError } from '../../errors.ts'
import { printCid } from '../../model/cid.ts'
import { withStore, type CommandContext } from '../command.ts'
import { counted, printable } from '../format.ts'

export function withPins<T>(
  context: CommandContext,
  use: (place: PinPlace) => Promise<T>,
): Promise<T> {
  const factor = factorOf(context)
  const cluster = clusterOf(context)
  return withStore(context, false, async (cairn, backend) => {
    const dataset = await cairn.dataset(context.config.values.dataset)
    return use({ dataset, backend, cluster, factor })
  })
}

function clusterOf({ config }: CommandContext): Cluster {
  const { cluster_url: url, cluster_token: token, deadline } = config.values
  if (url !== null) return openCluster({ url, token: token ?? undefined, deadlineMs: deadline })
  throw new CairnError('config', 'No cluster is configured.', {
    hint: 'Name the REST API of one of its peers: CAIRN_CLUSTER_URL=http://127.0.0.1:9094.',
  })
}

function factorOf({ config }: CommandContext): Factor {
  const { pin_min: min, pin_max: max } = config.values
  if (min <= max) return { min, max }
  throw new CairnError('config', `A pin cannot be on at least ${min} and at most ${max} nodes.`, {
    hint: 'Give a CAIRN_PIN_MAX that is not below CAIRN_PIN_MIN.',
  })
}

export function recordsOf(views: readonly PinView[]): readonly unknown[] {
  return views.map((view) => ({
    cid: printCid(view.cid),
    name: view.name,
    seq: view.root?.seq ?? null,
    recent: view.root?.recent ?? null,
    needed: isWanted(view),
    ours: view.isOurs,
    pinned_on: view.on,
    peers: view.peers,
  }))
}

export function linesOf(views: readonly PinView[], factor: Factor): string[] {
  return views.flatMap((view) => {
    const word = isWanted(view) ? (isShort(factor)(view) ? 'short ' : 'ok    ') : 'spare '
    const states = view.peers.map(({ name, peer, status }) => `${name || peer} ${status}`)
    const where = states.length === 0 ? 'not asked for' : states.join(', ')
    const failures = view.peers.filter(({ error }) => error !== '')
    return [
      printable(`${word} ${view.name}  on ${view.on} of ${factor.min}: ${where}`),
      ...failures.map(({ name, peer, error }) => printable(`         ${name || peer}: ${error}`)),
    ]
  })
}

/** Undefined where every pin that is needed is on enough nodes. */
export function shortage(
  views: readonly PinView[],
  factor: Factor,
  code: 'not_replicated' | 'unhealthy',
): CairnError | undefined {
  const needed = views.filter(isWanted)
  const short = needed.filter(isShort(factor)).length
  if (short === 0) return undefined
  return new CairnError(
    code,
    `${short} of ${counted(needed.length, 'pin')} ${short === 1 ? 'is' : 'are'} on fewer than ${counted(factor.min, 'node')}.`,
    { hint: '`cairn pins status` shows why; `cairn pins sync` asks for them again.', short },
  )
}
