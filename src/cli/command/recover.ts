/**
 * Finds the commits of a Kubo node whose MFS was lost, proves what the newest one names, and puts the list
 * of them back. docs/adr/0012-recovering-a-node.md.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRecovery, type CommitLine, type FoundCommit, type Recovery } from '../../compose.ts'
import { CairnError } from '../../errors.ts'
import { bytesEqual, printCid, rawCidOf } from '../../model/cid.ts'
import type { Backend } from '../../store/backend.ts'
import { verdictError } from '../../verify/report.ts'
import { verifyDataset } from '../../verify/verify.ts'
import { longOptions, type CommandContext, type CommandSpec } from '../command.ts'
import { counted } from '../format.ts'
import { formatTime } from '../../model/time.ts'
import { withBackend } from '../verify-store.ts'

export const recover: CommandSpec = {
  examples: [
    ['cairn recover', 'what commits lie on a node that lost its MFS; changes nothing'],
    ['cairn recover --yes', 'prove what the newest one names, and put the list of them back'],
    ['cairn recover --commit bafkrei... --yes', 'this one, where there are several to choose from'],
  ],
  writes: true,
  define: (command) =>
    command
      .option('--commit <cid>', 'the commit that is to be the newest, or the beginning of its CID')
      .option('--yes', 'put it back; without it only say what was found'),
  run: async (context) => {
    const { store, kubo_token, deadline, dataset } = context.config.values
    const recovery = await openRecovery(store, {
      kuboToken: kubo_token ?? undefined,
      deadlineMs: deadline,
    })
    try {
      const found = await recovery.search(longOptions(context))
      const lines = linesFor(recovery, found, dataset, context.options.text('--commit'))
      const commit = await withBackend(context, async (backend) => {
        await checkThere(backend, lines)
        return context.options.switch('--yes')
          ? publish(context, recovery, backend, lines)
          : undefined
      })
      await print(context, lines, commit, datasetsOf(found))
    } finally {
      recovery.close()
    }
  },
}

const byName = (a: string, b: string): number => (a < b ? -1 : 1)

const datasetsOf = (found: readonly FoundCommit[]): string[] =>
  [...new Set(found.map(({ dataset }) => dataset))].sort(byName)

function linesFor(
  recovery: Recovery,
  found: readonly FoundCommit[],
  dataset: string,
  chosen: string | undefined,
): readonly CommitLine[] {
  const own = found.filter((one) => one.dataset === dataset)
  if (chosen === undefined) {
    if (own.length > 0) return recovery.lines(own)
    const others = datasetsOf(found).join(', ') || 'none'
    throw new CairnError('not_found', `No commit of "${dataset}" lies on the node.`, {
      hint: `Of these datasets there are commits: ${others}. Otherwise restore a CAR.`,
      dataset,
    })
  }
  const matching = own.filter(({ cid }) => printCid(cid).startsWith(chosen))
  const [newest] = matching
  if (newest !== undefined && matching.length === 1) return [recovery.lineEndingAt(own, newest)]
  throw new CairnError('not_found', `${matching.length} commits of "${dataset}" are "${chosen}".`, {
    hint: '`cairn recover` lists those there are to choose from.',
  })
}

/** What the node's MFS has of the dataset must be part of each line, or there is nothing to recover. */
async function checkThere(backend: Backend, lines: readonly CommitLine[]): Promise<void> {
  for (const { newest, commits } of lines) {
    const there = await backend.newest(newest.dataset, -1)
    if (there === undefined) continue
    const same = commits.find(({ number }) => number === there.number)
    if (same !== undefined && bytesEqual(rawCidOf(there.bytes), same.cid)) continue
    throw new CairnError(
      'conflict',
      `The node has a dataset "${newest.dataset}", whose newest commit ${there.number} is none of those that follow up to ${newest.number}.`,
      {
        hint: 'If it was made since the loss, take what it holds out with export-car, and remove it in MFS.',
        cid: printCid(newest.cid),
      },
    )
  }
}

async function publish(
  context: CommandContext,
  recovery: Recovery,
  backend: Backend,
  lines: readonly CommitLine[],
): Promise<number> {
  const [line, ...others] = lines
  if (line === undefined || others.length > 0) throw ambiguous(lines)
  await prove(context, recovery.preview(backend, line))
  // That took its time.
  await checkThere(backend, lines)
  return recovery.publish(line, { signal: context.signal })
}

/** The whole of it, as if it were the dataset. The ledger is nobody's, since nothing was published. */
async function prove(context: CommandContext, backend: Backend): Promise<void> {
  const ledgerDir = await mkdtemp(join(tmpdir(), 'cairn-recover-'))
  try {
    const report = await verifyDataset(backend, context.config.values.dataset, {
      ...longOptions(context),
      mode: { kind: 'full' },
      ledgerDir,
      log: context.log,
    })
    const failure = verdictError(
      report,
      'Nothing was put back. Try an earlier commit with --commit, or restore a CAR.',
    )
    if (failure !== undefined) throw failure
  } finally {
    await rm(ledgerDir, { recursive: true, force: true })
  }
}

function ambiguous(lines: readonly CommitLine[]): CairnError {
  const cids = lines.map(({ newest }) => printCid(newest.cid))
  return new CairnError(
    'conflict',
    `${lines.length} commits may be the newest, and nothing tells which.`,
    {
      hint: `Choose with --commit: ${cids.slice(0, 4).join(', ')}.`,
      candidates: cids,
    },
  )
}

async function print(
  { output }: CommandContext,
  lines: readonly CommitLine[],
  put: number | undefined,
  datasets: readonly string[],
): Promise<void> {
  const status = put === undefined ? 'planned' : put === 0 ? 'already_there' : 'recovered'
  if (output.json) {
    await output.document({
      status,
      put: put ?? 0,
      candidates: lines.map(record),
      datasets_found: datasets,
    })
    return
  }
  for (const line of lines) {
    const { cid, number, ts, totalCount, snapshotSeq } = line.newest
    const text = [number, formatTime(ts), totalCount, `seq:${snapshotSeq}`, printCid(cid)].join(
      '\t',
    )
    await output.line(text)
    output.note(
      `${counted(line.commits.length, 'commit')} found of it, ${line.lost} of its kept ones lost`,
    )
  }
  await output.flush()
  if (datasets.length > 1) output.note(`there are commits of: ${datasets.join(', ')}`)
  if (put !== undefined) return output.note(`${counted(put, 'commit')} put back`)
  output.note(lines.length === 1 ? 'add --yes to put it back' : 'choose one with --commit')
}

function record({ newest, commits, lost }: CommitLine): Record<string, unknown> {
  return {
    commit: newest.number,
    cid: printCid(newest.cid),
    ts: formatTime(newest.ts),
    dataset: newest.dataset,
    identity: newest.identity,
    snapshot_seq: newest.snapshotSeq,
    total_count: newest.totalCount,
    commits_found: commits.length,
    commits_lost: lost,
  }
}
