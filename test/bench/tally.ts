/** What an operation asks of its store: calls by their name, blocks and bytes each way. */
import type { Block } from '../../src/model/cid.ts'
import type { Backend, Staging } from '../../src/store/backend.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'

export interface Tally {
  /** How often each call was made that was made at all. */
  readonly calls: Record<string, number>
  /** Blocks that came back, and their bytes. */
  read: number
  readBytes: number
  /** Blocks ahead of a commit and in it, content included. */
  written: number
  writtenBytes: number
  /** Of the commits themselves. */
  commitBytes: number
}

const emptyTally = (): Tally => ({
  calls: {},
  read: 0,
  readBytes: 0,
  written: 0,
  writtenBytes: 0,
  commitBytes: 0,
})

export interface TallyBackend {
  readonly backend: Backend
  /** What was asked during `work` alone. */
  readonly during: (work: () => Promise<unknown>) => Promise<Tally>
}

export function tallyBackend(inner: Backend): TallyBackend {
  let tally = emptyTally()
  const call = (name: string): void => {
    tally.calls[name] = (tally.calls[name] ?? 0) + 1
  }
  const wrote = (blocks: readonly Block[]): void => {
    tally.written += blocks.length
    tally.writtenBytes += bytesOf(blocks)
  }
  const watched = (staging: Staging): Staging => ({
    ...staging, // by which the store knows it again
    put: (blocks, options) => {
      call('put')
      wrote(blocks)
      return staging.put(blocks, options)
    },
    flush: (options) => {
      call('flush')
      return staging.flush(options)
    },
    end: (outcome) => staging.end(outcome),
  })
  const backend = wrapBackend(inner, {
    getBlocks: async (cids, options) => {
      call('getBlocks')
      const blocks = await inner.getBlocks(cids, options)
      const found = blocks.filter((bytes) => bytes !== undefined)
      tally.read += found.length
      tally.readBytes += found.reduce((sum, { length }) => sum + length, 0)
      return blocks
    },
    hasBlocks: (cids, options) => {
      call('hasBlocks')
      return inner.hasBlocks(cids, options)
    },
    newest: (dataset, than, options) => {
      call('newest')
      return inner.newest(dataset, than, options)
    },
    getCommit: (dataset, number, options) => {
      call('getCommit')
      return inner.getCommit(dataset, number, options)
    },
    stage: async (dataset, label, options) => {
      call('stage')
      return watched(await inner.stage(dataset, label, options))
    },
    lease: (note, options) => {
      call('lease')
      return inner.lease(note, options)
    },
    commit: (request, options) => {
      call('commit')
      wrote([...request.blocks, ...(request.content ?? [])])
      tally.commitBytes += request.bytes.length
      return inner.commit(request, options)
    },
  })
  return {
    backend,
    during: async (work) => {
      const mine = emptyTally()
      tally = mine
      await work()
      tally = emptyTally()
      return mine
    },
  }
}

const bytesOf = (blocks: readonly Block[]): number =>
  blocks.reduce((sum, { bytes }) => sum + bytes.length, 0)
