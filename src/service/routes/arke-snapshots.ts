/** Calls of the older system about snapshots: reading the newest one, asking for one, backups. */
import { basename } from 'node:path'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { readBackups } from '../../backup/folder.ts'
import type { Dataset } from '../../engine/dataset.ts'
import { CairnError } from '../../errors.ts'
import { arkeTime, type ArkeShape } from '../../model/arke-pointer.ts'
import { printCid, type CidBytes } from '../../model/cid.ts'
import type { Entry } from '../../model/entry.ts'
import { printOrNull } from '../../model/entry-record.ts'
import type { SnapshotHeader } from '../../model/snapshot.ts'
import { runJob } from '../dataset-tasks.ts'
import { problems, streamOf } from '../schemas/answers.ts'
import { CidText, Count, nullable, strict, Text } from '../schemas/common.ts'
import type { Service } from '../service.ts'
import { started } from '../http/stream.ts'

const tags = ['arke']

const Link = strict({ '/': CidText })

const Snapshot = strict({
  schema: Type.Unsafe<string>({ type: 'string', enum: ['arke/snapshot@v0', 'arke/snapshot@v1'] }),
  seq: Count,
  ts: Text,
  event_cid: Type.Optional(nullable(CidText)),
  prev_snapshot: nullable(Link),
  total_count: Count,
  entries: Type.Array(
    strict({
      pi: Text,
      ver: Type.Integer({ minimum: 1 }),
      tip_cid: Link,
      ts: Text,
      chain_cid: Type.Null(),
    }),
  ),
})

const Triggered = strict({ status: Type.Literal('snapshot build triggered'), job_id: Text })

const Rebuilding = strict({ message: Text, job_id: Text })

const Status = strict({
  snapshot: strict({ exists: Type.Boolean(), last_modified: nullable(Text) }),
  backups: strict({
    count: Count,
    latest: nullable(Text),
    total_size_mb: Type.Number({ minimum: 0 }),
  }),
  lock_file_exists: Type.Boolean({ description: 'a snapshot is being built' }),
})

export function arkeSnapshotRoutes(service: Service): FastifyPluginAsyncTypebox {
  const configured = (): string => service.values().dataset
  return async (app) => {
    app.get(
      '/snapshot/latest',
      {
        config: { right: 'read', older: true, stream: true },
        exposeHeadRoute: false,
        schema: {
          operationId: 'arkeLatestSnapshot',
          tags,
          summary: 'The newest snapshot as DAG-JSON, in the shape that goes with api_pointer.',
          querystring: strict({}),
          response: {
            200: streamOf('application/json', 'All its entities, in the order of ids.', Snapshot),
            ...problems(404),
          },
        },
      },
      async ({ signal }, reply) => {
        const dataset = await service.dataset(configured())
        const { commit, header } = await dataset.pointer({ signal })
        if (header.seq === 0) throw noSnapshot()
        const cid = printCid(commit.snapshot)
        const parts = snapshotText(dataset, cid, header, service.values().api_pointer, signal)
        return reply
          .header('x-snapshot-cid', cid)
          .header('x-snapshot-seq', header.seq)
          .header('x-snapshot-count', header.live)
          .type('application/json')
          .send(await started(parts))
      },
    )
    const build = async (): Promise<string> => {
      const { name } = await service.dataset(configured())
      // What was acknowledged before this call is to be in it.
      return runJob(service, name, 'build', {}, 'manual', { follow: true }).job.id
    }
    app.post(
      '/snapshot/build',
      {
        config: { right: 'append', older: true },
        schema: {
          operationId: 'arkeBuild',
          tags,
          summary: 'Starts building a snapshot, as a job.',
          querystring: strict({}),
          response: { 200: Triggered, ...problems(404) },
        },
      },
      async () => ({ status: 'snapshot build triggered' as const, job_id: await build() }),
    )
    app.post(
      '/snapshot/rebuild',
      {
        config: { right: 'append', older: true },
        schema: {
          operationId: 'arkeRebuild',
          tags,
          summary: 'The same as /snapshot/build, which older clients call so.',
          querystring: strict({}),
          response: { 200: Rebuilding, ...problems(404) },
        },
      },
      async () => ({ message: 'Snapshot rebuild triggered', job_id: await build() }),
    )
    app.get(
      '/admin/dr/status',
      {
        config: { right: 'read', older: true },
        schema: {
          operationId: 'arkeRecoveryStatus',
          tags,
          summary: 'What there is to recover from.',
          querystring: strict({}),
          response: { 200: Status, ...problems(404) },
        },
      },
      async ({ signal }) => {
        const dataset = await service.dataset(configured())
        const { header } = await dataset.pointer({ signal })
        const exists = header.seq > 0
        return {
          snapshot: { exists, last_modified: exists ? arkeTime(header.ts) : null },
          backups: await backupsOf(service.values().backups_dir, dataset.name),
          lock_file_exists: isBuilding(service, dataset.name),
        }
      },
    )
  }
}

/** An answer that ends whole is the whole snapshot; whatever is wrong with it resets the connection. */
async function* snapshotText(
  dataset: Dataset,
  cid: string,
  header: SnapshotHeader,
  shape: ArkeShape,
  signal: AbortSignal,
): AsyncGenerator<string> {
  let text = headText(header, shape)
  let count = 0
  for await (const entry of dataset.entries({ at: { snapshot: cid }, order: 'asc', signal })) {
    text += `${count === 0 ? '' : ','}${entryText(entry)}`
    count++
    if (text.length < PART_CHARS) continue
    yield text
    text = ''
  }
  if (count !== header.live) {
    throw new CairnError(
      'invalid_block',
      `The snapshot ${header.seq} counts ${header.live} entities and holds ${count}.`,
      { hint: 'Verify the store, and restore it from a backup if it is damaged.', cid },
    )
  }
  yield `${text}]}`
}

const PART_CHARS = 64 << 10

/** All but its end, up to where the entries begin. */
function headText({ seq, ts, prev, head, live }: SnapshotHeader, shape: ArkeShape): string {
  const fields = {
    schema: shape === 'arke-v1' ? 'arke/snapshot@v0' : 'arke/snapshot@v1',
    seq,
    ts: arkeTime(ts),
    ...(shape === 'arke-v1' ? {} : { event_cid: printOrNull(head) }),
    // The empty snapshot that a dataset begins with was none there.
    prev_snapshot: prev === null || seq === 1 ? null : linkTo(prev),
    total_count: live,
    entries: [],
  }
  return JSON.stringify(fields).slice(0, -2)
}

/** Which block of the log it came with is not kept in a snapshot. */
function entryText({ pi, ver, tip, ts }: Entry): string {
  const tip_cid = tip === null ? null : linkTo(tip)
  return JSON.stringify({ pi, ver, tip_cid, ts: arkeTime(ts), chain_cid: null })
}

const linkTo = (cid: CidBytes): { readonly '/': string } => ({ '/': printCid(cid) })

function noSnapshot(): CairnError {
  return new CairnError(
    'not_found',
    'No snapshot available yet. Create entities and trigger a snapshot first.',
    { hint: 'POST /snapshot/build builds one.' },
  )
}

async function backupsOf(
  folder: string,
  name: string,
): Promise<{ count: number; latest: string | null; total_size_mb: number }> {
  const { backups } = await readBackups(folder)
  const own = backups.filter(({ sidecar }) => sidecar.dataset === name)
  const bytes = own.reduce((sum, { sidecar }) => sum + sidecar.size_bytes, 0)
  const newest = own[0]?.paths.car
  return {
    count: own.length,
    latest: newest === undefined ? null : basename(newest),
    total_size_mb: Math.round((bytes / 2 ** 20) * 100) / 100,
  }
}

function isBuilding({ jobs }: Service, dataset: string): boolean {
  return jobs.list({ dataset, kind: 'build' }).some(({ state }) => state === 'running')
}
