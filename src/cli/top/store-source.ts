/** Looks at a dataset of a store that this process has opened. */
import { observe } from '../../health/observe.ts'
import { reportOf } from '../../health/look.ts'
import type { Config } from '../../config/resolve.ts'
import type { Cairn } from '../../cairn.ts'
import type { Observation } from '../../health/observation.ts'
import { readTime } from '../../model/time.ts'
import {
  CHANGES,
  slowly,
  worstFirst,
  type ChangeLook,
  type Look,
  type SlowLook,
  type Source,
} from './look.ts'

export interface StoreOptions {
  readonly cairn: Cairn
  readonly config: Config
  readonly slowMs: number
  readonly now: () => number
}

export function storeSource({ cairn, config, slowMs, now }: StoreOptions): Source {
  const { values, origins } = config
  const slow = slowly<SlowLook>(slowMs, now)
  const lookSlowly = async (dataset: string, signal: AbortSignal): Promise<SlowLook> => {
    const { data_dir: dataDir, backups_dir: backupsDir, deadline: deadlineMs } = values
    const seen = await observe({ cairn, dataset, dataDir, backupsDir, now, deadlineMs, signal })
    const { level, alerts, checks } = reportOf(seen, values, origins)
    return {
      level,
      alerts: worstFirst(alerts.map((one) => ({ ...one, hint: one.hint ?? null }))),
      checks: checks.length,
      ...factsOf(seen),
      upcoming: [],
    }
  }
  return {
    name: cairn.location,
    datasets: () => cairn.datasets(),
    look: async (name, signal) => {
      const dataset = await cairn.dataset(name)
      const { pointer, store } = await dataset.status({ signal })
      const head = await dataset.head({ signal })
      return {
        at: now(),
        dataset: name,
        entities: head.totalCount,
        next: head.next,
        commit: head.number,
        generation: head.generation.number,
        recent: head.recentCount,
        chainLimit: head.chainLimit,
        snapshotSeq: head.seq,
        snapshotTs: readTime(pointer.snapshot_ts) ?? head.snapshotTs,
        storeBytes: store.sizeBytes ?? null,
        freeBytes: store.freeBytes ?? null,
        counters: null,
        jobs: null,
        changes: await changesOf(dataset, head, signal),
        slow: await slow(name, () => lookSlowly(name, signal)),
      } satisfies Look
    },
  }
}

type Dataset = Awaited<ReturnType<Cairn['dataset']>>

async function changesOf(
  dataset: Dataset,
  { next, floor }: { readonly next: number; readonly floor: number },
  signal: AbortSignal,
): Promise<ChangeLook[]> {
  const since = Math.max(floor, next - CHANGES)
  if (since >= next) return []
  const { items } = await dataset.log({ since, limit: CHANGES, signal })
  return items
    .map(({ entry: { pi, ver, tip, ts }, position }) => ({
      position,
      pi,
      ver,
      deleted: tip === null,
      ts,
    }))
    .toReversed()
}

function factsOf({
  dataset,
  backups,
  drill,
  automation,
}: Observation): Pick<SlowLook, 'build' | 'car' | 'drill'> {
  const built = 'value' in automation ? automation.value?.build : undefined
  const ours =
    'value' in backups
      ? backups.value.backups.filter(({ sidecar }) => sidecar.dataset === dataset)
      : []
  const newest = ours[0]?.sidecar
  const drilled = 'value' in drill ? drill.value : undefined
  return {
    build: built
      ? { at: built.finishedAt, ok: !built.failed, ms: built.durationMs ?? null, folded: null }
      : null,
    car: newest && {
      at: readTime(newest.verified_at) ?? 0,
      next: newest.next,
      generation: newest.generation,
      bytes: newest.size_bytes,
      count: ours.length,
    },
    drill:
      drilled?.dataset === dataset ? { at: drilled.finishedAt, ok: drilled.passed } : undefined,
  }
}
